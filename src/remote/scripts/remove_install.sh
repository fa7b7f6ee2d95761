# $1 'look' or 'remove', $2 install path
# Prints 'ours NAME' for what arcusctl made below the install path: that goes; 'theirs NAME' for what is somebody else's, and
# stays; when removing, 'used RELEASE' for a release that a process executes: then nothing goes at all.
# The directory of the releases goes last but for the locks, so that a removal that was cut short is seen to be one. A
# release is renamed before it is removed: whoever finds one under its name may take it for whole.
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
is_directory() { [ -d "$1" ] && [ ! -L "$1" ]; }
# names_release NAME: arcusctl names releases so, by the SHA-256 of a package or by when it adopted an install.
names_release() {
  case $1 in
    adopted-*-*)
      stamp=${1#adopted-}
      is_number "${stamp%%-*}" && is_number "${stamp#*-}"
      ;;
    *[!0-9a-f]*) return 1 ;;
    ????????????) return 0 ;;
    *) return 1 ;;
  esac
}
is_number() { case $1 in '' | *[!0-9]*) return 1 ;; esac; }
# is_release DIRECTORY: of that name, and with what arcusctl puts into one: links back to the install where there is a
# ZooKeeper in it, and a cache node's program.
is_release() {
  is_directory "$1" && names_release "${1##*/}" || return 1
  if [ -d "$1/zookeeper" ]; then
    [ "$(readlink "$1/zookeeper/conf")" = ../../../zookeeper/conf ]
  else
    [ -f "$1/bin/memcached" ]
  fi
}
# to_release LINK: leads to a release of ours, or to where one was.
to_release() {
  [ -L "$1" ] || return 1
  target=$(readlink "$1")
  case $target in releases/*) names_release "${target#releases/}" || return 1 ;; *) return 1 ;; esac
  is_release "$target" || ! there "$target"
}
# Other tools have a link of this name, too. It goes before those that lead through it.
current_is_ours=
if to_release current || ! there current; then current_is_ours=yes; fi
leads_to_release() {
  [ -L "$1" ] || return 1
  case $(readlink "$1") in
    current/* | ../current/*) [ -n "$current_is_ours" ] ;;
    *) to_release "$1" ;;
  esac
}
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
# of_node NAME: a cache node's pid file or log.
of_node() {
  case $1 in memcached-*.pid | memcached-*.log | memcached-*.log.1) ;; *) return 1 ;; esac
  port=${1#memcached-}
  is_number "${port%%.*}"
}
if [ "$mode" = remove ] && is_directory releases; then
  take_lock releases/.lock 30
  used=
  for release in releases/*; do
    if is_release "$release" && in_use "$release"; then
      used=yes
      echo "used ${release##*/}"
    fi
  done
  [ -z "$used" ] || exit 0
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
    releases | run | logs | work | zookeeper | .operation.lock) ;;
    .arcusctl-destroy | *.arcusctl-new | .arcusctl-old-*) gone "$entry" ;;
    *) if leads_to_release "$entry"; then gone "$entry"; else theirs "$entry"; fi ;;
  esac
done
for directory in run logs work; do
  if is_directory "$directory"; then
    for entry in "$directory"/* "$directory"/.[!.]*; do
      case $entry in
        # What a node writes where it works: its core, by the usual patterns, and its own data.
        work/core | work/core.memcached* | work/core-memcached* | work/ARCUS-DB) gone "$entry" ;;
        work/core.*) if is_number "${entry#work/core.}"; then gone "$entry"; else theirs "$entry"; fi ;;
        work/*) theirs "$entry" ;;
        *) if of_node "${entry#"$directory/"}"; then gone "$entry"; else theirs "$entry"; fi ;;
      esac
    done
    empty "$directory"
  else
    theirs "$directory"
  fi
done
# left_behind NAME: what a run that was cut short left in the directory of the releases.
left_behind() {
  case $1 in
    .pruned-*) names_release "${1#.pruned-}" ;;
    .*.tree.*) hidden=${1#.} && names_release "${hidden%%.*}" && is_number "${hidden##*.}" ;;
    .*.tar.gz | .*.tar.zst) hidden=${1#.} && names_release "${hidden%.tar.*}" ;;
    *) return 1 ;;
  esac
}
if is_directory releases; then
  for entry in releases/* releases/.[!.]*; do
    if is_release "$entry"; then
      echo "ours $entry"
      [ "$mode" = remove ] || continue
      pruned=releases/.pruned-${entry##*/}
      rm -rf "$pruned"
      mv -T "$entry" "$pruned"
      rm -rf "$pruned"
    elif left_behind "${entry##*/}"; then
      gone "$entry"
    elif [ "$entry" != releases/.lock ]; then
      theirs "$entry"
    fi
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
