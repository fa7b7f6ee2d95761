# $1 install path, $2 release
# The switch is the rename of one link, 'current'. Everything before it can be repeated; everything after it tidies up.
set -eu
umask 022
cd "$1"
release=$2
[ -d "releases/$release" ] || { echo "release $release is not on this host" >&2; exit 66; }
exec 9>releases/.lock
if command -v flock >/dev/null 2>&1 && ! flock -w 30 9; then
  echo "another arcusctl is staging or switching releases on this host" >&2
  exit 75
fi
mkdir -p run logs work zookeeper/conf zookeeper/data zookeeper/logs

# point LINK TARGET: make or replace a link by rename.
point() {
  ln -sfn "$2" "$1.arcusctl-new"
  mv -T "$1.arcusctl-new" "$1"
}
# names DIR: what a release brings there, but for what belongs to the machine.
names() {
  for entry in "$1"/*; do
    name=${entry##*/}
    case $name in '*' | conf | conf.dist | data | logs | zookeeper) ;; *) echo "$name" ;; esac
  done
}

# An install that is no release yet (arcus.sh's) becomes one, by hard links: same bytes, old paths, no copy. A move that
# was cut short is finished first.
for kept in .arcusctl-old-* zookeeper/.arcusctl-old-*; do
  [ -e "$kept" ] || continue
  original=$(dirname "$kept")/${kept##*.arcusctl-old-}
  if [ -e "$original" ] || [ -L "$original" ]; then rm -rf "$kept"; else mv "$kept" "$original"; fi
done
plain=
for name in $(names "releases/$release"); do
  if [ -e "$name" ] && [ ! -L "$name" ]; then plain="$plain $name"; fi
done
for name in $(names "releases/$release/zookeeper"); do
  if [ -e "zookeeper/$name" ] && [ ! -L "zookeeper/$name" ]; then plain="$plain zookeeper/$name"; fi
done
if [ -n "$plain" ]; then
  adopted=$(readlink current 2>/dev/null || :)
  adopted=${adopted##*/}
  if [ -z "$adopted" ]; then
    adopted=adopted-$(date -u +%Y%m%d%H%M%S)
    tree=releases/.$adopted.tree
    rm -rf releases/.adopted-*.tree
    mkdir -p "$tree/zookeeper"
    for name in $plain; do cp -al "$name" "$tree/$name"; done
    for shared in conf data logs; do ln -s "../../../zookeeper/$shared" "$tree/zookeeper/$shared"; done
    mv -T "$tree" "releases/$adopted"
    point current "releases/$adopted"
  fi
  for name in $plain; do
    base=${name##*/}
    case $name in
      zookeeper/*) kept=zookeeper/.arcusctl-old-$base link=../current/$name ;;
      *) kept=.arcusctl-old-$base link=current/$name ;;
    esac
    ln -sfn "$link" "$name.arcusctl-new"
    mv "$name" "$kept"
    mv -T "$name.arcusctl-new" "$name"
    rm -rf "$kept"
  done
fi

for name in $(names "releases/$release"); do
  [ "$(readlink "$name" 2>/dev/null)" = "current/$name" ] || point "$name" "current/$name"
done
for name in $(names "releases/$release/zookeeper"); do
  [ "$(readlink "zookeeper/$name" 2>/dev/null)" = "../current/zookeeper/$name" ] ||
    point "zookeeper/$name" "../current/zookeeper/$name"
done
# A conf file that the operator has keeps its content.
if [ -d "releases/$release/zookeeper/conf.dist" ]; then
  for file in "releases/$release/zookeeper/conf.dist"/*; do
    [ -e "$file" ] || continue
    [ -e "zookeeper/conf/${file##*/}" ] || cp -pR "$file" zookeeper/conf/
  done
fi

# The way back is known before the switch, so that it is known after it whatever happens.
former=$(readlink current 2>/dev/null || :)
if [ -n "$former" ] && [ "$former" != "releases/$release" ]; then point previous "$former"; fi
point current "releases/$release"
sync -f . 2>/dev/null || :

# Names that only the former release had lead nowhere now.
for link in * zookeeper/*; do
  [ -L "$link" ] && [ ! -e "$link" ] || continue
  case $(readlink "$link") in current/* | ../current/*) rm -f "$link" ;; esac
done
