# $1 conf directory, $2 data directory, $3 log directory
# Prints 'theirs PATH' for what ZooKeeper did not put there. The zoo.cfg goes last: by it a member is seen to be there.
set -eu
conf=$1 data=$2 logs=$3
if [ -n "$(zookeeper_pid "$conf/zoo.cfg")" ]; then
  echo "a ZooKeeper server runs with $conf/zoo.cfg again" >&2
  exit 75
fi
remove_from() {
  directory=$1
  shift
  for file in "$@"; do rm -rf "${directory:?}/$file"; done
  [ -d "$directory" ] || return 0
  for file in "$directory"/* "$directory"/.[!.]*; do
    if [ -e "$file" ] || [ -L "$file" ]; then echo "theirs $file"; fi
  done
  rmdir "$directory" 2>/dev/null || :
}
for file in "$logs"/zookeeper*.out "$logs"/zookeeper*.out.* "$logs"/zookeeper*.log "$logs"/zookeeper*.log.*; do
  rm -f "$file"
done
remove_from "$logs"
apart=$(sed -n 's/^[[:space:]]*dataLogDir[[:space:]]*=[[:space:]]*//p' "$conf/zoo.cfg" 2>/dev/null | tail -n 1)
if [ -n "$apart" ] && [ "$apart" != "$data" ]; then remove_from "$apart" version-2; fi
remove_from "$data" version-2 myid zookeeper_server.pid
for file in "$conf"/zoo.cfg.*; do rm -f "$file"; done
rm -f "$conf/zoo.cfg"
rmdir "$conf" 2>/dev/null || :
