# $1 install path, $2 conf directory, $3 log directory
install=$1 conf=$2
export ZOO_LOG_DIR="$3"
mkdir -p "$ZOO_LOG_DIR"
with_java
cd "$install/zookeeper" || exit 1
# The server inherits what is open here; were the channel's pipes among it, the channel would never end.
said=$(mktemp) || exit 1
"$install/zookeeper/bin/zkServer.sh" --config "$conf" start </dev/null >"$said" 2>&1
status=$?
cat "$said" >&2
rm -f "$said"
exit "$status"
