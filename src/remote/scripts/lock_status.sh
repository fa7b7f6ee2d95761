# $1 install path
# Prints one line: 'held HOLDER…', 'free HOLDER…' with the last one that had it, 'none' where nobody ever had, 'unknown WHY'.
file=$1/.operation.lock
[ -e "$file" ] || { echo none; exit 0; }
command -v flock >/dev/null 2>&1 || { echo "unknown there is no flock on the host"; exit 0; }
[ -r "$file" ] || { echo "unknown $file cannot be read"; exit 0; }
if flock -s -n "$file" true; then state=free; else state=held; fi
read -r holder <"$file"
echo "$state $holder"
