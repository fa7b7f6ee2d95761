# $1 install path, $2 the holder as one line, $3 seconds to wait for the lock, $4 a run that is known to be dead or '',
# stdin: a line now and then while it is held, 'done' when the run is through
# Prints one line: 'locked FREED NOW released|left', both by the clock here, FREED when a run last held it; 'locked new';
# 'busy HOLDER…'; 'unlocked WHY'. Having it, holds it until the input ends, or until nothing has come for a minute or so.
# The file keeps the holder, the processes that hold it, a dot for each line of the input, and 'released' once its run is
# through.
umask 022
file=$1/.operation.lock holder=$2 wait=$3 dead=$4
command -v flock >/dev/null 2>&1 || { echo "unlocked there is no flock on the host"; exit 0; }
[ -d "$1" ] || mkdir -p "$1" 2>/dev/null
# (Unlike exec alone, command exec fails without ending the script.)
{ command exec 9>>"$file"; } 2>/dev/null || { echo "unlocked $file cannot be written"; exit 0; }
first='' processes='' last=''
seen() {
  first='' processes='' last=''
  {
    read -r first && read -r processes
    last=$processes
    while read -r line; do last=$line; done
  } <"$file"
}
# Whose run is dead, but was cut off from here, is not waited for.
bury() {
  [ -n "$dead" ] || return 1
  seen
  case $first in *"\"run\":\"$dead\""*) ;; *) return 1 ;; esac
  for process in $processes; do kill "$process"; done 2>/dev/null
  wait=10
}
# Somebody who only asks for the state of the lock has it for a moment.
idle() {
  seen
  case ${last:-released} in released | left) sleep 1 ;; *) return 1 ;; esac
}
if ! flock -n 9; then
  if bury || [ "$wait" -gt 0 ]; then flock -w "$wait" 9 2>/dev/null; else idle && flock -n 9; fi || {
    seen
    echo "busy $first"
    exit 0
  }
fi
seen
if [ -z "$first" ]; then
  state=new
else
  # Not every stat and date knows fractions.
  set -- $(stat -c %.3Y "$file" 2>/dev/null || stat -c %Y "$file"; date +%s.%3N)
  case $last in released) state="$1 $2 released" ;; *) state="$1 $2 left" ;; esac
fi
printf '%s\n' "$holder" >"$file"
# An operator's machine that lost its power, or its network, never closes the connection.
(
  before=-1 still=0
  trap 'kill "$nap"; exit' TERM
  while [ "$still" -lt 2 ]; do
    sleep 30 &
    nap=$!
    wait "$nap"
    { read -r _ && read -r owner _; } <"$file"
    [ "$owner" = $$ ] || exit
    now=$(wc -c <"$file")
    if [ "$now" = "$before" ]; then still=$((still + 1)); else still=0; fi
    before=$now
  done
  kill $$
) </dev/null >/dev/null 2>&1 9>&- &
watcher=$!
echo "$$ $watcher" >&9
echo "locked $state"
end=left
while read -r word; do
  if [ "$word" = done ]; then end=released; break; fi
  echo . >&9
done
echo "$end" >&9
kill "$watcher" 2>/dev/null
exit 0
