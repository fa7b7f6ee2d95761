# $1 install path, $2 release, $3 the release that was current when it was looked at, or ''
# The switch is the rename of one link, 'current'. Everything before it can be repeated; everything after it tidies up.
set -eu
umask 022
cd "$1"
release=$2 seen=$3
take_lock releases/.lock 30
[ -d "releases/$release/bin" ] || { echo "release $release is not on this host" >&2; exit 66; }
former=$(readlink current 2>/dev/null || :)
if [ "$former" != "releases/$release" ] && [ "$former" != "${seen:+releases/$seen}" ]; then
  echo "another arcusctl is at work: ${former:-no release} is current, no longer ${seen:-none}" >&2
  exit 75
fi
# Links into a release would be made in the link's target, where they lead nowhere.
if [ -L zookeeper ]; then echo "$1/zookeeper is a symbolic link" >&2; exit 65; fi
mkdir -p run logs work zookeeper/conf zookeeper/data zookeeper/logs

# point LINK TARGET: make or replace a link by rename.
point() {
  ln -sfn "$2" "$1.arcusctl-new"
  mv -T "$1.arcusctl-new" "$1"
}
# link_all FROM DIR: see that DIR has a link FROM/NAME for each NAME that the release brings there. All that are new are
# made by one ln.
link_all() {
  from=$1 dir=$2
  set --
  for name in $(names "releases/$release/$dir"); do
    if [ ! -L "$dir/$name" ]; then
      set -- "$@" "$from/$name"
    elif [ "$(readlink "$dir/$name")" != "$from/$name" ]; then
      point "$dir/$name" "$from/$name"
    fi
  done
  [ $# -eq 0 ] || ln -s "$@" "$dir"
}
# names DIR: what a release brings there, but for what belongs to the machine.
names() {
  for entry in "$1"/*; do
    name=${entry##*/}
    case $name in '*' | conf | conf.dist | data | logs | zookeeper) ;; *) echo "$name" ;; esac
  done
}
# keep_links TREE: in a tree made here, the names of what belongs to the machine lead back to the install.
keep_links() {
  ln -s ../../../zookeeper/conf ../../../zookeeper/data ../../../zookeeper/logs "$1/zookeeper/"
}

# A move that was cut short is finished first.
for kept in .arcusctl-old-* zookeeper/.arcusctl-old-*; do
  [ -e "$kept" ] || continue
  original=$(dirname "$kept")/${kept##*.arcusctl-old-}
  if [ -e "$original" ] || [ -L "$original" ]; then rm -rf "$kept"; else mv "$kept" "$original"; fi
done
# Plain files and directories where links into a release belong: an install of arcus.sh, or what somebody put there by
# hand since. They become a release of their own, by hard links: same bytes, no copy, nothing lost.
plain=
for name in $(names "releases/$release"); do
  if [ -e "$name" ] && [ ! -L "$name" ]; then plain="$plain $name"; fi
done
for name in $(names "releases/$release/zookeeper"); do
  if [ -e "zookeeper/$name" ] && [ ! -L "zookeeper/$name" ]; then plain="$plain zookeeper/$name"; fi
done
if [ -n "$plain" ]; then
  adopted=adopted-$(date -u +%Y%m%d%H%M%S)-$$
  tree=releases/.$adopted.tree.$$
  mkdir -p "$tree/zookeeper"
  for name in $plain; do cp -al "$name" "$tree/$name"; done
  # What is not plain came from the current release.
  if [ -d current/. ]; then
    for name in $(names current); do [ -e "$tree/$name" ] || cp -al "current/$name" "$tree/$name"; done
    for name in $(names current/zookeeper); do
      [ -e "$tree/zookeeper/$name" ] || cp -al "current/zookeeper/$name" "$tree/zookeeper/$name"
    done
  fi
  keep_links "$tree"
  mv -T "$tree" "releases/$adopted"
  # What processes and people see is the same bytes, through the links.
  point current "releases/$adopted"
  former=releases/$adopted
  for name in $plain; do
    base=${name##*/}
    case $name in
      zookeeper/*) kept=zookeeper/.arcusctl-old-$base link=../current/$name ;;
      *) kept=.arcusctl-old-$base link=current/$name ;;
    esac
    ln -sfn "$link" "$name.arcusctl-new"
    # Where mv can exchange two names, there is no moment without this one.
    if mv --exchange -T "$name.arcusctl-new" "$name" 2>/dev/null; then
      rm -rf "$name.arcusctl-new"
    else
      mv "$name" "$kept"
      mv -T "$name.arcusctl-new" "$name"
      rm -rf "$kept"
    fi
  done
fi

link_all current .
link_all ../current/zookeeper zookeeper
# A conf file that the operator has keeps its content.
if [ -d "releases/$release/zookeeper/conf.dist" ]; then
  set --
  for file in "releases/$release/zookeeper/conf.dist"/*; do
    [ ! -e "$file" ] || [ -e "zookeeper/conf/${file##*/}" ] || set -- "$@" "$file"
  done
  [ $# -eq 0 ] || cp -pR "$@" zookeeper/conf/
fi

# The way back is known before the switch, so that it is known after it whatever happens.
if [ -n "$former" ] && [ "$former" != "releases/$release" ]; then point previous "$former"; fi
# (A power cut may still undo this, whole: the links of the old release and its files are there.)
point current "releases/$release"

# Names that only the former release had lead nowhere now.
for link in * zookeeper/*; do
  [ -L "$link" ] && [ ! -e "$link" ] || continue
  case $(readlink "$link") in current/* | ../current/*) rm -f "$link" ;; esac
done
