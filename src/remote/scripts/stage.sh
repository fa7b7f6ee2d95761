# $1 install path, $2 release, $3 name for the archive, $4 its SHA-256, $5 directory at its top or '', $6 SHA-256 of the
# tree's sorted list of names or '', $7 label or '', $8 size of the archive, $9 bytes of it that are here already, stdin:
# the rest
# A release directory exists only when it is complete: it appears by one rename at the very end.
set -eu
umask 022
install=$1 release=$2 archive=$3 sha256=$4 root=$5 names=$6 label=$7 size=$8 here=$9
mkdir -p "$install/releases"
cd "$install/releases"
# That of a run that was killed ends with its connection, or when nothing more comes.
take_lock .lock 10
# What was half unpacked by a run that died is of no use; what was received is, and stays.
rm -rf .*.tree.*
tree=.$release.tree.$$
trap 'rm -rf "$tree"' EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM
if [ -d "$release" ]; then
  # Another run brought it while this one waited; nothing of the input is needed.
  echo present
  exit 0
fi
if [ "$here" = 0 ]; then
  : >"$archive"
elif [ ! -f "$archive" ] || [ "$(wc -c <"$archive")" -ne "$here" ]; then
  echo "the partial archive changed meanwhile: another arcusctl is at work here" >&2
  exit 75
fi
# An operator's machine that lost its power never closes the connection; the lock must not wait for that.
# (What runs in the background has no input but one that it is given.)
exec 3<&0
cat <&3 >>"$archive" 9>&- &
receiver=$!
(
  before=-1
  while sleep 60; do
    now=$(wc -c <"$archive")
    if [ "$now" = "$before" ]; then
      kill "$receiver"
      exit
    fi
    before=$now
  done
) </dev/null >/dev/null 2>&1 9>&- &
watcher=$!
wait "$receiver" || :
kill "$watcher" 2>/dev/null || :
received=$(wc -c <"$archive")
if [ "$received" -lt "$size" ]; then
  echo "the upload was cut short after $received of $size bytes; they are kept" >&2
  exit 74
fi
# openssl uses the processor's own instructions, which coreutils may not know; where it is not to be had, sha256sum tells.
arrived=$(openssl dgst -sha256 -r <"$archive" 2>/dev/null || :)
[ "${arrived%% *}" = "$sha256" ] || arrived=$(sha256sum <"$archive")
if [ "${arrived%% *}" != "$sha256" ]; then
  echo "the archive arrived damaged: its SHA-256 is not $sha256" >&2
  rm -f "$archive"
  exit 65
fi
mkdir "$tree"
# A pipe's first part can fail unseen; but the archive is what was sent, and the names are compared below.
case $archive in
  *.zst) zstd -dcq "$archive" | tar -xof - -C "$tree" ;;
  *) tar -xzof "$archive" -C "$tree" ;;
esac
own=$tree${root:+/$root}
if [ -n "$names" ] && command -v find >/dev/null 2>&1; then
  unpacked=$(cd "$own" && find . -mindepth 1 | LC_ALL=C sort | sha256sum)
  if [ "${unpacked%% *}" != "$names" ]; then
    echo "tar unpacked other files than the archive lists" >&2
    exit 65
  fi
fi
chmod go+rx "$own"
# Whoever may log in to the host must not be able to change what cache nodes execute.
chmod -R go-w "$own"
# What belongs to one machine is in no release: these names lead back to the install.
if [ -d "$own/zookeeper" ]; then
  if [ -e "$own/zookeeper/data" ] || [ -e "$own/zookeeper/logs" ]; then
    rm -rf "$own/zookeeper/data" "$own/zookeeper/logs"
  fi
  if [ -d "$own/zookeeper/conf" ]; then
    rm -f "$own"/zookeeper/conf/zoo.cfg "$own"/zookeeper/conf/zoo.cfg.*
    mv "$own/zookeeper/conf" "$own/zookeeper/conf.dist"
  fi
  ln -s ../../../zookeeper/conf ../../../zookeeper/data ../../../zookeeper/logs "$own/zookeeper/"
fi
[ -z "$label" ] || printf '%s\n' "$label" >"$own/.arcusctl-label"
touch "$own"
# Unpacked, the archive is of no more use, nor are those of other releases that were never completed; removed now, they
# need not be written to the disk first.
rm -f .*.tar.gz .*.tar.zst
# A release that is named but not written yet would be taken for complete after a power cut.
sync -f "$own" 2>/dev/null || sync
mv -T "$own" "$release" 2>/dev/null || [ -d "$release" ]
