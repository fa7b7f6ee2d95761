# $1 install path, $2 seconds to wait, $3 'force' or '', $4… nodes as 'port:pid:starttime'
# Prints, as it happens: 'ended PORT', 'forced PORT' or 'stuck PORT'.
# The start time tells the process that was seen from another that has its number since.
install=$1 limit=$2 force=$3
shift 3
started_at() {
  stat=$(cat "/proc/$1/stat" 2>/dev/null) || return
  set -- ${stat##*) }
  # A zombie has ended.
  [ "$1" = Z ] || echo "${20}"
}
wait_for() {
  end=$(($(date +%s) + $3))
  while [ "$(started_at "$1")" = "$2" ]; do
    [ "$(date +%s)" -lt "$end" ] || return 1
    sleep 0.1
  done
}
for node in "$@"; do
  (
    port=${node%%:*}
    rest=${node#*:}
    pid=${rest%%:*}
    started=${rest#*:}
    if [ "$(started_at "$pid")" = "$started" ]; then
      kill -TERM "$pid" || { echo "stuck $port"; exit; }
    fi
    if wait_for "$pid" "$started" "$limit"; then
      echo "ended $port"
    elif [ "$force" = force ] && kill -KILL "$pid" && wait_for "$pid" "$started" 10; then
      echo "forced $port"
    else
      echo "stuck $port"
      exit
    fi
    rm -f "$install/run/memcached-$port.pid"
  ) &
done
wait
