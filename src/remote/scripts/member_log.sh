# $1 log directory; prints the last lines of the newest file in it
newest=$(ls -t "$1"/*.out "$1"/*.log 2>/dev/null | head -n 1)
[ -n "$newest" ] && tail -n 20 "$newest"
exit 0
