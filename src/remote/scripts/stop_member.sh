# $1 conf directory, $2 data directory, $3 seconds to wait for its end
# zkServer.sh stop always exits 0 and waits one second; so the process is found by its configuration and waited for.
conf=$1 data=$2 limit=$3
pid=$(zookeeper_pid "$conf/zoo.cfg")
[ -n "$pid" ] || exit 0
kill -TERM "$pid" || exit 1
end=$(($(date +%s) + limit))
while kill -0 "$pid" 2>/dev/null; do
  if [ "$(date +%s)" -ge "$end" ]; then
    echo "process $pid did not end within $limit s of SIGTERM" >&2
    exit 75
  fi
  sleep 0.1
done
rm -f "$data/zookeeper_server.pid"
