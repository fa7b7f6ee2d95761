# $1 conf directory, $2 data directory
# Prints: snapshot NAME BYTES SECONDS (the newest, and how long ago it was taken), logs FILES KILOBYTES (what they take up:
# they are made larger than what is in them), disk TOTAL FREE in kilobytes
conf=$1 data=$2
logs=$(sed -n 's/^ *dataLogDir *= *//p' "$conf/zoo.cfg" 2>/dev/null | tail -n 1)
logs=${logs:-$data}
newest=$(ls -t "$data"/version-2/snapshot.* 2>/dev/null | head -n 1)
if [ -n "$newest" ]; then
  taken=$(stat -c %Y "$newest") && bytes=$(stat -c %s "$newest") &&
    echo "snapshot ${newest##*/} $bytes $(($(date +%s) - taken))"
fi
files=0 kilobytes=0
for log in "$logs"/version-2/log.*; do
  [ -f "$log" ] || continue
  taken=$(du -k "$log" 2>/dev/null) || continue
  files=$((files + 1)) kilobytes=$((kilobytes + ${taken%%[!0-9]*}))
done
echo "logs $files $kilobytes"
here=$data
while [ ! -d "$here" ]; do here=${here%/*}; here=${here:-/}; done
# The file system's name may have blanks; the figures are the fields behind it.
set -- $(df -Pk "$here" | tail -n 1 | sed 's/.* \([0-9][0-9]*  *[0-9][0-9]*  *[0-9][0-9]*\)  *[0-9]*% .*/\1/')
echo "disk ${1:-} ${3:-}"
