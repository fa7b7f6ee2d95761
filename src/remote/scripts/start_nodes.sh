# $1 install path, $2 user to run as when this is root, $3 ZooKeeper's addresses, $4 nodes as 'port:memory:connections:threads …',
# $5… further arguments of every node
# Prints, as it happens: 'started PORT PID', 'exited PORT STATUS'. Reads: 'joined PORT PID' writes that node's pid file;
# the end of the input ends this script and leaves the nodes running.
#
# A node is not told to daemonize itself (-d): its parent would return 0 whatever becomes of it. Started in a session of
# its own, deaf to SIGHUP and with no terminal or pipe of ours, it is as detached, and its exit status can be told.
umask 022
install=$1 user=$2 zookeeper=$3 nodes=$4
shift 4
for directory in "$install/run" "$install/logs" "$install/work"; do
  if [ -L "$directory" ]; then echo "$directory is a symbolic link" >&2; exit 65; fi
  mkdir -p "$directory" || exit 1
done
if [ "$(id -u)" = 0 ]; then
  id "$user" >/dev/null 2>&1 || { echo "there is no user $user on this host" >&2; exit 67; }
  # Cores and whatever a node writes itself go here. Logs and pid files are written by root, so the nodes' user owns no
  # directory that they are in: it could put links there.
  chown 0:0 "$install/run" "$install/logs" && chown "$user" "$install/work" || exit 1
  set -- -u "$user" "$@"
fi
[ -x "$install/bin/memcached" ] || { echo "$install/bin/memcached is missing" >&2; exit 66; }
[ -f "$install/lib/ascii_scrub.so" ] && set -- -X "$install/lib/ascii_scrub.so" "$@"
# Where no syslog daemon listens, reasons would be lost; without the module they go to the node's own log file.
[ -S /dev/log ] && [ -f "$install/lib/syslog_logger.so" ] && set -- -X "$install/lib/syslog_logger.so" "$@"
cd "$install/work" || exit 1
trap '' HUP
# sudo and limits.conf often set the core limit to 0, with which -r makes a node refuse to start; root may raise it.
ulimit -c unlimited 2>/dev/null || ulimit -S -c "$(ulimit -H -c)" 2>/dev/null || :
waiters=
for node in $nodes; do
  port=${node%%:*}
  rest=${node#*:}
  memory=${rest%%:*}
  rest=${rest#*:}
  connections=${rest%%:*}
  threads=${rest#*:}
  log=$install/logs/memcached-$port.log
  if [ -f "$log" ] && [ "$(wc -c <"$log")" -gt 10000000 ]; then mv -f "$log" "$log.1"; fi
  echo "--- $(date -u +%Y-%m-%dT%H:%M:%SZ) started by arcusctl" >>"$log"
  (
    setsid "$install/bin/memcached" -E "$install/lib/default_engine.so" "$@" -v -r -R5 -U 0 -D: -b 8192 \
      -m"$memory" -p "$port" -c "$connections" -t "$threads" -z "$zookeeper" </dev/null >>"$log" 2>&1 &
    pid=$!
    trap 'exit 0' TERM
    echo "started $port $pid"
    wait "$pid"
    echo "exited $port $?"
  ) &
  waiters="$waiters $!"
done
while read -r word port pid; do
  case $word in
    joined)
      rm -f "$install/run/memcached-$port.pid"
      echo "$pid" >"$install/run/memcached-$port.pid"
      ;;
  esac
done
# shellcheck disable=SC2086
kill $waiters 2>/dev/null
exit 0
