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
