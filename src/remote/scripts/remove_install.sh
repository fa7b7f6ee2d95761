# $1 'look' or 'remove', $2 install path
# Prints 'ours NAME' for what arcusctl made below the install path: that goes; 'theirs NAME' for what is somebody else's, and
# stays; when removing, 'used RELEASE' for a release that a process executes: then it stays, and all that leads to it.
# The directory of the releases goes last but for the locks, so that a removal that was cut short is seen to be one.
set -eu
mode=$1 install=$2
[ -d "$install" ] || exit 0
cd "$install"
there() { [ -e "$1" ] || [ -L "$1" ]; }
# gone NAME…: is ours, and goes.
gone() {
  for name in "$@"; do
    there "$name" || continue
    echo "ours $name"
    [ "$mode" = look ] || rm -rf "./$name"
  done
}
theirs() {
  for name in "$@"; do
    if there "$name"; then echo "theirs $name"; fi
  done
}
leads_to_release() {
  [ -L "$1" ] || return 1
  case $(readlink "$1") in current/* | ../current/* | releases/*) return 0 ;; *) return 1 ;; esac
}
is_directory() { [ -d "$1" ] && [ ! -L "$1" ]; }
# The directory itself, once nothing is in it.
empty() { [ "$mode" = look ] || rmdir "$1" 2>/dev/null || :; }
# came_with_release FILE: a release brought this conf file, and nobody changed it.
came_with_release() {
  sum=$(sha256sum <"$1")
  for dist in releases/*/zookeeper/conf.dist; do
    if [ -f "$dist/${1##*/}" ] && [ "$(sha256sum <"$dist/${1##*/}")" = "$sum" ]; then return 0; fi
  done
  return 1
}
used=
if [ "$mode" = remove ] && is_directory releases; then
  take_lock releases/.lock 30
  for release in releases/*; do
    if is_directory "$release" && in_use "$release"; then
      used=yes
      echo "used ${release##*/}"
    fi
  done
fi
if [ -n "$used" ]; then
  for release in releases/*; do
    if is_directory "$release" && ! in_use "$release"; then gone "$release"; fi
  done
  exit 0
fi
if is_directory zookeeper; then
  for entry in zookeeper/* zookeeper/.[!.]*; do
    case $entry in
      zookeeper/conf)
        if is_directory "$entry"; then
          for file in "$entry"/* "$entry"/.[!.]*; do
            if [ -f "$file" ] && came_with_release "$file"; then gone "$file"; else theirs "$file"; fi
          done
          empty "$entry"
        else
          theirs "$entry"
        fi
        ;;
      zookeeper/data | zookeeper/logs)
        if is_directory "$entry"; then theirs "$entry"/* "$entry"/.[!.]*; empty "$entry"; else theirs "$entry"; fi
        ;;
      *.arcusctl-new | zookeeper/.arcusctl-old-*) gone "$entry" ;;
      *) if leads_to_release "$entry"; then gone "$entry"; else theirs "$entry"; fi ;;
    esac
  done
  empty zookeeper
else
  theirs zookeeper
fi
for entry in * .[!.]*; do
  case $entry in
    releases | run | logs | zookeeper | .operation.lock) ;;
    work) if is_directory work; then gone work; else theirs work; fi ;;
    .arcusctl-destroy | *.arcusctl-new | .arcusctl-old-*) gone "$entry" ;;
    *) if leads_to_release "$entry"; then gone "$entry"; else theirs "$entry"; fi ;;
  esac
done
for directory in run logs; do
  if is_directory "$directory"; then
    for entry in "$directory"/* "$directory"/.[!.]*; do
      case ${entry#"$directory/"} in
        memcached-*.pid | memcached-*.log | memcached-*.log.1) gone "$entry" ;;
        *) theirs "$entry" ;;
      esac
    done
    empty "$directory"
  else
    theirs "$directory"
  fi
done
if is_directory releases; then
  for entry in releases/* releases/.[!.]*; do
    case $entry in
      releases/.lock) ;;
      releases/.pruned-* | releases/.*.tree.* | releases/.*.tar.gz | releases/.*.tar.zst) gone "$entry" ;;
      *) if is_directory "$entry"; then gone "$entry"; else theirs "$entry"; fi ;;
    esac
  done
  gone releases/.lock
  empty releases
else
  theirs releases
fi
if [ "$mode" = remove ]; then
  rm -f .operation.lock
  cd /
  # It may be a directory that only root can make anew.
  rmdir "$install" 2>/dev/null || :
fi
