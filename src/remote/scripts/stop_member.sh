# $1 conf directory, $2 data directory, $3 seconds to wait for its end
# zkServer.sh stop always exits 0 and waits one second; so the process is found by its configuration and waited for.
conf=$1 data=$2 limit=$3
for pid in $(zookeeper_pid "$conf/zoo.cfg"); do
  started=$(started_at "$pid")
  [ -n "$started" ] || continue
  kill -TERM "$pid" || exit 77
  if ! wait_for "$pid" "$started" "$limit"; then
    echo "process $pid did not end within $limit s of SIGTERM" >&2
    exit 75
  fi
done
rm -f "$data/zookeeper_server.pid"
