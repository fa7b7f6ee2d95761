# $1 install path, $2… ports of cache nodes that are no more
# Removes their logs and pid files; everything else of the install is still needed here.
set -eu
cd "$1"
shift
for directory in run logs; do
  if [ -L "$directory" ]; then echo "$directory is a symbolic link" >&2; exit 65; fi
done
for port in "$@"; do
  rm -f "run/memcached-$port.pid" "logs/memcached-$port.log" "logs/memcached-$port.log.1"
done
