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
  for file in "$@"; do
    # What a link leads to is not in this directory; it stays, and so does what leads there.
    [ -L "${directory:?}/$file" ] || rm -rf "${directory:?}/$file"
  done
  [ -d "$directory" ] || return 0
  for file in "$directory"/* "$directory"/.[!.]*; do
    if [ -e "$file" ] || [ -L "$file" ]; then echo "theirs $file"; fi
  done
  rmdir "$directory" 2>/dev/null || :
}
# Others may log in the same directory.
for file in "$logs"/zookeeper-*.out "$logs"/zookeeper-*.out.* "$logs"/zookeeper.log "$logs"/zookeeper.log.[0-9]*; do
  rm -f "$file"
done
remove_from "$logs"
apart=$(sed -n 's/^[[:space:]]*dataLogDir[[:space:]]*=[[:space:]]*//p' "$conf/zoo.cfg" 2>/dev/null | sed 's/[[:space:]]*$//' | tail -n 1)
if [ -n "$apart" ] && [ "$apart" != "$data" ]; then remove_from "$apart" version-2; fi
remove_from "$data" version-2 myid zookeeper_server.pid
for file in "$conf"/zoo.cfg.removed "$conf"/zoo.cfg.bak "$conf"/zoo.cfg.dynamic "$conf"/zoo.cfg.dynamic.*; do rm -f "$file"; done
rm -f "$conf/zoo.cfg"
for file in "$conf"/zoo.cfg*; do
  if [ -e "$file" ]; then echo "theirs $file"; fi
done
rmdir "$conf" 2>/dev/null || :
