# $1 conf directory, $2 data directory, $3 log directory, $4 myid or '', $5 zoo.cfg or ''
# Each file appears by a rename, whole.
set -eu
umask 022
conf=$1 data=$2 log=$3
mkdir -p "$conf" "$data" "$log"
if [ -n "$4" ]; then
  echo "$4" >"$data/.myid.new"
  mv "$data/.myid.new" "$data/myid"
fi
if [ -n "$5" ]; then
  # A directory of a member's own lacks what the shared one got from the release.
  for file in "$conf"/../*.properties "$conf"/../*.xml "$conf"/../*.xsl; do
    case $conf in */zookeeper/conf/*) [ ! -f "$file" ] || [ -e "$conf/${file##*/}" ] || cp -p "$file" "$conf/" ;; esac
  done
  printf '%s' "$5" >"$conf/.zoo.cfg.new"
  mv "$conf/.zoo.cfg.new" "$conf/zoo.cfg"
fi
