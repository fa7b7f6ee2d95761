# $1 user of the cache nodes, $2 install path, $3 'java' where a Java runtime is wanted, or ''
# Prints: login, rights root|sudo|none REASON, machine, account SHELL, run PATH, run_entry, volatile, tmpfiles,
# tmpfile LINE…, install_entry, writable, empty, nofile, core, raises, most, limit LINE…, java, manager
user=$1 install=$2 java=$3
PATH=$PATH:/usr/sbin:/sbin
# Names and lines may have a backslash, which echo takes for more than it is.
printf 'login %s\n' "$(id -un)"
if [ "$(id -u)" = 0 ]; then
  echo "rights root"
elif ! command -v sudo >/dev/null 2>&1; then
  echo "rights none sudo is not installed"
elif said=$(sudo -n sh -c : 2>&1 </dev/null); then
  echo "rights sudo"
else
  printf 'rights none %s\n' "$(printf '%s\n' "$said" | tail -n 1)"
fi
tell_machine
if id "$user" >/dev/null 2>&1; then
  line=$(getent passwd "$user" 2>/dev/null || grep "^$user:" /etc/passwd)
  echo "account ${line##*:}"
fi
# entry NAME PATH: says what lies at PATH.
entry() {
  if [ -d "$2" ]; then printf '%s directory %s\n' "$1" "$(stat -c %U "$2")"
  elif [ -e "$2" ] || [ -L "$2" ]; then echo "$1 other"
  else echo "$1 missing"; fi
}
# lines NAME FILE: all lines of a configuration file, comments too, for it is written anew with them.
lines() {
  [ -f "$2" ] || return 0
  while IFS= read -r line || [ -n "$line" ]; do printf '%s %s\n' "$1" "$line"; done <"$2"
}
# systemd complains about /var/run, which is a link to /run wherever systemd is.
runs=$(readlink -f /var/run 2>/dev/null)
run=${runs:-/var/run}/memcached
echo "run $run"
if [ -L "$run" ]; then echo "run_entry other"; else entry run_entry "$run"; fi
if [ "$(stat -f -c %T "${run%/*}" 2>/dev/null)" = tmpfs ]; then echo "volatile yes"; else echo "volatile no"; fi
if command -v systemd-tmpfiles >/dev/null 2>&1; then echo "tmpfiles yes"; else echo "tmpfiles no"; fi
lines tmpfile /etc/tmpfiles.d/arcus.conf
entry install_entry "$install"
# The nearest existing ancestor must be writable.
place=$install
while [ ! -e "$place" ] && [ "$place" != / ]; do place=$(dirname "$place"); done
if [ -d "$place" ] && [ -w "$place" ]; then echo "writable yes"; else echo "writable no"; fi
# The lock file of an earlier run is nobody's.
if [ -d "$install" ] && [ -z "$(ls -A "$install" 2>&1 | grep -vx '\.operation\.lock')" ]; then echo "empty yes"; else echo "empty no"; fi
files=$(ulimit -H -n)
echo "nofile $files"
echo "core $(ulimit -H -c)"
# Root may raise its own limits, but for the root of some containers.
if [ "$files" != unlimited ] && (ulimit -H -n $((files + 1))) 2>/dev/null; then echo "raises yes"; else echo "raises no"; fi
echo "most $(cat /proc/sys/fs/nr_open 2>/dev/null)"
lines limit /etc/security/limits.d/arcus.conf
if [ "$java" = java ]; then
  find_java
  [ -z "$java" ] || echo "java ${version:-unknown}"
fi
for manager in apt-get dnf yum; do
  if command -v "$manager" >/dev/null 2>&1; then
    echo "manager $manager"
    break
  fi
done
exit 0
