# $1 install path, $2… releases to remove
# Each is renamed first, so that none is ever seen half removed.
set -eu
cd "$1/releases"
shift
exec 9>.lock
if command -v flock >/dev/null 2>&1 && ! flock -w 30 9; then
  echo "another arcusctl is staging or switching releases on this host" >&2
  exit 75
fi
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
  mv -T "$release" ".pruned-$release"
  rm -rf ".pruned-$release"
done
