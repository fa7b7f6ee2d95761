# $1 install path, $2 the holder as one line, $3 seconds to wait for the lock, $4 a run that is known to be dead or '',
# stdin: a line now and then while it is held, 'done' when the run is through
# Prints one line: 'locked FREED NOW released|left|.', in seconds since the host's boot, FREED when a run last held it;
# 'locked new'; 'busy HOLDER…', nothing where that is not known; 'unlocked WHY'. Having it, holds it until the input ends,
# or until nothing has come for 75 s.
# The file keeps the holder; the process that holds it, when that started, and in which boot; and then when it was heard of,
# a '.' for each time, and 'released' or 'left' at the end.
# Every process that this starts is waited for by the run: hence /proc and read, not date and stat.
umask 022
file=$1/.operation.lock holder=$2 wait=$3 dead=$4
command -v flock >/dev/null 2>&1 || { echo "unlocked there is no flock on the host"; exit 0; }
# What belongs to another user can be locked, too, but not be written. (Unlike exec alone, command exec fails without
# ending the script.)
open_file() {
  [ -d "${file%/*}" ] || mkdir -p "${file%/*}" 2>/dev/null
  writes=yes
  { command exec 9>>"$file" || { writes='' && command exec 9<"$file"; }; } 2>/dev/null || {
    printf 'unlocked %s cannot be opened\n' "$file"
    exit 0
  }
}
# Whoever removes the install removes the file, too: a lock on what is no longer there is none.
is_removed() { [ / -ef / ] 2>/dev/null && ! [ "$file" -ef /proc/self/fd/9 ]; }
open_file
{ read -r here </proc/sys/kernel/random/boot_id; } 2>/dev/null
first='' last=''
seen() {
  first='' process='' started='' boot='' last='' heard=''
  {
    read -r first && read -r process started boot
    while read -r word when; do last=$word heard=$when; done
  } <"$file"
}
# In clock ticks since the boot. The name, in brackets, may hold anything.
start_of() {
  start=''
  { read -r start <"/proc/$1/stat"; } 2>/dev/null
  set -- ${start##*) }
  start=${20}
}
# Whose run is dead, but was cut off from here, is not waited for. A number alone says nothing: it may be another process's
# by now, and whoever owns the file can write any. What is ended has the lock file open, just as this has.
bury() {
  [ -n "$dead" ] || return 1
  seen
  case $first in *"\"run\":\"$dead\""*) wait=10 ;; *) return 1 ;; esac
  case $last in released | left) return 0 ;; esac
  case $process in '' | *[!0-9]*) return 0 ;; esac
  start_of "$process"
  [ -n "$start" ] && [ "$start $here" = "$started $boot" ] || return 0
  # (A shell keeps it by another number while it has something run without it.)
  for open in "/proc/$process/fd/"*; do
    if [ "$open" -ef "$file" ]; then kill "$process"; break; fi
  done
  return 0
}
# Somebody who only asks for the state of the lock has it for a moment.
idle() {
  seen
  case ${last:-released} in released | left) sleep 1 ;; *) return 1 ;; esac
}
note() {
  [ -n "$writes" ] || return 0
  read -r up _ </proc/uptime
  printf '%s %s\n' "$1" "$up" >&9
}
if ! flock -n 9; then
  if bury || [ "$wait" -gt 0 ]; then flock -w "$wait" 9 2>/dev/null; else idle && flock -n 9; fi || {
    seen
    # Who has it now could not write that down.
    case $last in released | left) first='' ;; esac
    printf 'busy %s\n' "$first"
    exit 0
  }
fi
while is_removed; do
  open_file
  flock -w "$wait" 9 2>/dev/null || { echo 'busy ' && exit 0; }
done
seen
read -r up _ </proc/uptime
if [ -z "$first" ]; then
  state=new
elif [ "$boot" != "$here" ]; then
  # Whatever was begun then has ended with that boot.
  state="0.00 $up released"
else
  state="$heard $up $last"
fi
if [ -n "$writes" ]; then
  start_of $$
  printf '%s\n' "$holder" "$$ $start $here" ". $up" >"$file"
fi
printf 'locked %s\n' "$state"
# An operator's machine that lost its power, or its network, never closes the connection. (read alone waits for ever.)
command -v timeout >/dev/null 2>&1 || timeout() { shift; "$@"; }
end=left
while :; do
  timeout 75 sh -c 'read -r word || exit 2; [ "$word" = done ] || exit 3' >/dev/null 2>&1 9>&-
  case $? in
    0) end=released && break ;;
    3) note . ;;
    *) break ;;
  esac
done
note "$end"
exit 0
