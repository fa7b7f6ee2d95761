# $1 install path, $2 'once' or 'follow', $3 how many lines of each log or '', $4 how many bytes of each at most, $5… logs:
# 'node:PORT', or 'member:DIRECTORY' where a ZooKeeper server logs; they are numbered from 0
# Prints 'clock SECONDS ZONE'; 'log NUMBER MTIME' for each that there is, and its lines as 'NUMBER:TEXT', those that are in
# syslog as 'NUMBERs:TEXT'. To follow, then 'live', and each line that comes, until the end of the input.
exec 2>/dev/null
LC_ALL=C
export LC_ALL
install=$1 mode=$2 lines=$3 bytes=$4
shift 4
# tell TAG: passes on each line as it comes, in one write that no other line gets into.
tell() {
  while IFS= read -r line || [ -n "$line" ]; do printf '%s:%.3900s\n' "$1" "$line"; done
}
# last TAG: the last lines of the input.
last() {
  if [ -n "$lines" ]; then tail -c "$bytes" | tail -n "$lines"; else tail -c "$bytes"; fi | sed "s/^/$1:/"
  # Should the last line have had no end.
  echo
}
size_of() {
  set -- $(wc -c <"$1" 2>/dev/null)
  echo "${1:-0}"
}
mtime_of() { stat -c %Y "$1" 2>/dev/null || echo 0; }
# files_of LOG: names of its files, the oldest first; the last one is written to.
files_of() {
  case $1 in
    node:*) for file in "$install/logs/memcached-${1#node:}.log.1" "$install/logs/memcached-${1#node:}.log"; do echo "$file"; done ;;
    member:*) ls -tr "${1#member:}"/*.out "${1#member:}"/*.log ;;
  esac
}
# The pid of a node, where there is a syslog that it may write to. Numbers come again, in other boots and for other programs.
logged_pid() {
  case $1 in node:*) ;; *) return 0 ;; esac
  [ -S /dev/log ] || return 0
  read -r pid <"$install/run/memcached-${1#node:}.pid" && echo "$pid"
}
syslog_file() {
  for file in /var/log/syslog /var/log/messages /var/log/daemon.log; do
    if [ -r "$file" ]; then echo "$file" && return; fi
  done
}
has_journal() { command -v journalctl >/dev/null; }
of_pid() {
  while IFS= read -r line; do
    case $line in *"memcached[$1]"*) printf '%s\n' "$line" ;; esac
  done
}
date '+clock %s %z'
number=0
for log in "$@"; do
  newest=
  all=$(files_of "$log")
  {
    IFS='
'
    for file in $all; do newest=$file; done
    if [ -n "$newest" ] && [ -e "$newest" ]; then echo "log $number $(mtime_of "$newest")"; fi
    size=$(size_of "$newest")
    for file in $all; do
      if [ "$file" = "$newest" ]; then head -c "$size" "$file"; else cat "$file"; fi
    done | last "$number"
    unset IFS
  }
  pid=$(logged_pid "$log")
  if [ -n "$pid" ]; then
    if has_journal; then
      journalctl -q --no-pager -o short-iso-precise ${lines:+-n "$lines"} -b "_PID=$pid" _COMM=memcached | last "${number}s"
    else
      grep -F "memcached[$pid]" "$(syslog_file)" | last "${number}s"
    fi
  fi
  if [ "$mode" = follow ] && [ -n "$newest" ]; then
    # It begins where the lines above end, also should some have come in between.
    tail -c "+$((size + 1))" -F "$newest" | tell "$number" &
    if [ -n "$pid" ] && has_journal; then
      journalctl -q -f -n 0 -o short-iso-precise -b "_PID=$pid" _COMM=memcached | tell "${number}s" &
    elif [ -n "$pid" ]; then
      tail -n 0 -F "$(syslog_file)" | of_pid "$pid" | tell "${number}s" &
    fi
  fi
  number=$((number + 1))
done
[ "$mode" = follow ] || exit 0
echo live
cat >/dev/null
# The input has ended; so do all that were started here.
trap '' TERM
kill -TERM 0
