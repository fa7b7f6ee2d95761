# $1 install path, $2… releases to remove
# Prints 'kept RELEASE' for one that a process turns out to execute.
# Each is renamed first, so that none is ever seen half removed.
set -eu
cd "$1/releases"
shift
take_lock .lock 30
rm -rf .pruned-*
current=$(readlink ../current 2>/dev/null || :)
previous=$(readlink ../previous 2>/dev/null || :)
# in_use RELEASE: a process executes it, or there is one that cannot be looked at.
in_use() {
  real=$(readlink -f "$1")
  for process in $(processes_here memcached); do
    file=$(readlink "$process/exe" 2>/dev/null)
    case $file in '' | "$real"/*) return 0 ;; esac
  done
  for process in $(processes_here java); do
    [ -r "$process/fd" ] || return 0
    for file in $(readlink "$process"/fd/* 2>/dev/null); do
      case $file in "$real"/*) return 0 ;; esac
    done
  done
  return 1
}
for release in "$@"; do
  case ${current##*/}/${previous##*/} in
    "$release"/* | */"$release")
      echo "release $release is current or previous by now" >&2
      exit 75
      ;;
  esac
  [ -d "$release" ] || continue
  if in_use "$release"; then
    echo "kept $release"
    continue
  fi
  mv -T "$release" ".pruned-$release"
  rm -rf ".pruned-$release"
done
