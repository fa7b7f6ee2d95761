# $1 install path, $2 seconds to wait, $3 'force' or '', $4… nodes as 'port:pid:starttime:drain'
# Prints, as it happens: 'drained PORT', 'ended PORT', 'forced PORT', 'denied PORT', 'strange PORT' for a process that is no
# cache node of that port and is left alone, or 'stuck PORT'.
# The start time tells the process that was seen from another that has its number since. A node whose drain is not 0 was
# told to end in so many seconds; a signal would end it at once.
# is_node PID PORT: is a cache node of that port, as far as its command line tells; one that is about to end has none any more.
is_node() {
  read -r name 2>/dev/null <"/proc/$1/comm" && [ "$name" = memcached ] || return 1
  given=$(tr '\000' ' ' 2>/dev/null <"/proc/$1/cmdline") || return 1
  case $given in
    '' | *"p$2 "* | *" $2 "*) return 0 ;;
    # The port of a node that was told none.
    *) [ "$2" = 11211 ] ;;
  esac
}
install=$1 limit=$2 force=$3
shift 3
for node in "$@"; do
  (
    port=${node%%:*}
    rest=${node#*:}
    pid=${rest%%:*}
    rest=${rest#*:}
    started=${rest%%:*}
    drain=${rest#*:}
    if [ "$(started_at "$pid")" = "$started" ] && ! is_node "$pid" "$port" && [ "$(started_at "$pid")" = "$started" ]; then
      echo "strange $port"
      exit
    fi
    if [ "$drain" != 0 ] && wait_for "$pid" "$started" $((drain + limit)); then
      echo "drained $port"
    elif [ "$(started_at "$pid")" = "$started" ] && ! kill -TERM "$pid" && [ "$(started_at "$pid")" = "$started" ]; then
      echo "denied $port"
      exit
    elif wait_for "$pid" "$started" "$limit"; then
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
