# $1 install path
# Removes what runs that were cut short left behind. What can still be used stays: archives of releases that are not here.
set -eu
cd "$1"
take_lock releases/.lock 30
rm -rf releases/.pruned-* releases/.*.tree.* ./*.arcusctl-new zookeeper/*.arcusctl-new
for archive in releases/.*.tar.gz releases/.*.tar.zst; do
  name=${archive#releases/.}
  if [ -d "releases/${name%.tar.*}" ]; then rm -f "$archive"; fi
done
[ -d current/. ] || exit 0
for link in * zookeeper/*; do
  [ -L "$link" ] && [ ! -e "$link" ] || continue
  case $(readlink "$link") in current/* | ../current/*) rm -f "$link" ;; esac
done
