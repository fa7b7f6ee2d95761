# $1 install path
# Prints: user, writable, architecture, machine, current, release…, plain…
install=$1
echo "user $(id -un)"
# The nearest existing ancestor must be writable.
place=$install
while [ ! -e "$place" ] && [ "$place" != / ]; do place=$(dirname "$place"); done
if [ -d "$place" ] && [ -w "$place" ]; then echo "writable yes"; else echo "writable no"; fi
echo "architecture $(uname -m)"
# The machine-id alone is the same on virtual machines cloned from one image.
if [ -s /etc/machine-id ]; then
  echo "machine $(cat /etc/machine-id) $(cat /proc/sys/kernel/random/boot_id 2>/dev/null) $(uname -n)"
fi
current=$(readlink "$install/current" 2>/dev/null) && echo "current ${current##*/}"
for release in "$install"/releases/*; do
  [ -d "$release" ] && echo "release ${release##*/}"
done
for entry in "$install"/* "$install"/zookeeper/*; do
  [ -e "$entry" ] && [ ! -L "$entry" ] || continue
  name=${entry#"$install"/}
  case $name in
    releases | current | run | logs | zookeeper | zookeeper/conf | zookeeper/data | zookeeper/logs) ;;
    *) echo "plain $name" ;;
  esac
done
exit 0
