# $1 install path, $2 release, $3 SHA-256 of the archive, $4 directory at the archive's top or '', stdin: the archive
# A release directory exists only when it is complete: it appears by one rename at the very end.
set -eu
umask 022
install=$1 release=$2 sha256=$3 root=$4
mkdir -p "$install/releases"
cd "$install/releases"
archive=.$release.tar.gz
tree=.$release.tree
trap 'rm -rf "$archive" "$tree"' EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM
rm -rf "$tree"
cat >"$archive"
if ! echo "$sha256  $archive" | sha256sum -c - >/dev/null 2>&1; then
  echo "the archive arrived damaged: $(sha256sum <"$archive" | cut -c1-64) instead of $sha256" >&2
  exit 65
fi
mkdir "$tree"
tar -xzof "$archive" -C "$tree"
rm -f "$archive"
own=$tree${root:+/$root}
chmod go+rx "$own"
# What belongs to one machine is in no release: these names lead back to the install.
if [ -d "$own/zookeeper" ]; then
  rm -rf "$own/zookeeper/data" "$own/zookeeper/logs"
  if [ -d "$own/zookeeper/conf" ]; then
    rm -f "$own"/zookeeper/conf/zoo.cfg "$own"/zookeeper/conf/zoo.cfg.*
    mv "$own/zookeeper/conf" "$own/zookeeper/conf.dist"
  fi
  for shared in conf data logs; do ln -s "../../../zookeeper/$shared" "$own/zookeeper/$shared"; done
fi
mv -T "$own" "$release" 2>/dev/null || { [ -d "$release" ] || exit 1; }
