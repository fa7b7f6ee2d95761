# $1 install path
# Prints one line: 'held HOLDER…', no holder where it could not write that down; 'free HOLDER…' with the last one that had
# it; 'none' where nobody ever had; 'unknown WHY'.
file=$1/.operation.lock
[ -e "$file" ] || { echo none; exit 0; }
command -v flock >/dev/null 2>&1 || { echo "unknown there is no flock on the host"; exit 0; }
{ command exec 9<"$file"; } 2>/dev/null || { printf 'unknown %s cannot be read\n' "$file"; exit 0; }
if flock -s -n 9; then state=free; else state=held; fi
holder='' last=''
{
  read -r holder
  while read -r word _; do last=$word; done
} <"$file"
case "$state $last" in "held released" | "held left") holder='' ;; esac
printf '%s %s\n' "$state" "$holder"
