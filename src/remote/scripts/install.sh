# $1 install path
# Prints: user, writable, architecture, machine, free (kilobytes), current, previous, release NAME SECONDS KILOBYTES LABEL…,
# obstacle TEXT, leftover PATH…, partial ARCHIVE BYTES…, zstd, runs NAME PID COMMAND PORT|zookeeper…, plain ENTRY…
install=$1
echo "user $(id -un)"
# The nearest existing ancestor must be writable.
place=$install
while [ ! -e "$place" ] && [ "$place" != / ]; do place=$(dirname "$place"); done
if [ -d "$place" ] && [ -w "$place" ]; then echo "writable yes"; else echo "writable no"; fi
echo "architecture $(uname -m)"
tell_machine
set -- $(df -Pk "$place" 2>/dev/null | tail -n 1)
[ "$#" -lt 4 ] || echo "free $4"
[ ! -L "$install/zookeeper" ] || echo "obstacle $install/zookeeper is a symbolic link"
for link in current previous; do
  name=$(readlink "$install/$link" 2>/dev/null) && echo "$link ${name##*/}"
done
for release in "$install"/releases/*; do
  [ -d "$release" ] || continue
  label=
  read -r label 2>/dev/null <"$release/.arcusctl-label"
  set -- $(du -sk "$release" 2>/dev/null)
  echo "release ${release##*/} $(stat -c %Y "$release" 2>/dev/null || echo 0) ${1:-0} $label"
done
for archive in "$install"/releases/.*.tar.gz "$install"/releases/.*.tar.zst; do
  [ -f "$archive" ] && echo "partial ${archive##*/.} $(wc -c <"$archive")"
done
if command -v zstd >/dev/null 2>&1; then echo "zstd yes"; else echo "zstd no"; fi
# What runs that were cut short left behind; while another run is at work, it is that run's.
leftovers() {
  for path in releases/.pruned-* releases/.*.tree.* ./*.arcusctl-new zookeeper/*.arcusctl-new; do
    if [ -e "$path" ] || [ -L "$path" ]; then echo "leftover $path"; fi
  done
  for path in releases/.*.tar.gz releases/.*.tar.zst; do
    name=${path#releases/.}
    [ ! -f "$path" ] || [ ! -d "releases/${name%.tar.*}" ] || echo "leftover $path"
  done
  [ -d current/. ] || return 0
  for path in * zookeeper/*; do
    [ -L "$path" ] && [ ! -e "$path" ] || continue
    case $(readlink "$path") in current/* | ../current/*) echo "leftover $path" ;; esac
  done
}
if cd "$install" 2>/dev/null && [ -f releases/.lock ] && [ -w releases/.lock ]; then
  if ! command -v flock >/dev/null 2>&1 || flock -n releases/.lock true; then leftovers; fi
fi
# A cache node's executable, or the jars that a server holds open, tell which release a process runs.
real=$(readlink -f "$install/releases" 2>/dev/null)
# port_of: reads arguments, one a line; prints the value of -p.
port_of() {
  while read -r word; do
    case $word in
      -p) read -r word && echo "$word" && return ;;
      -p[0-9]*) echo "${word#-p}" && return ;;
    esac
  done
}
first_release_file() {
  while read -r file; do
    case $file in "$real"/*) echo "$file" && return ;; esac
  done
}
# report_run PROCESS COMMAND WHAT FILE
report_run() {
  case $4 in
    "$real"/*)
      release=${4#"$real"/}
      echo "runs ${release%%/*} ${1#/proc/} $2 $3"
      ;;
  esac
}
if [ -d "$real" ]; then
  for process in $(processes_here memcached); do
    what=$(tr '\000' '\n' 2>/dev/null <"$process/cmdline" | port_of)
    report_run "$process" memcached "${what:-11211}" "$(readlink "$process/exe" 2>/dev/null)"
  done
  for process in $(processes_here java); do
    report_run "$process" java zookeeper "$(readlink "$process"/fd/* 2>/dev/null | first_release_file)"
  done
fi
for entry in "$install"/* "$install"/zookeeper/*; do
  [ -e "$entry" ] && [ ! -L "$entry" ] || continue
  name=${entry#"$install"/}
  case $name in
    releases | current | previous | run | logs | work | zookeeper | zookeeper/conf | zookeeper/data | zookeeper/logs) ;;
    *) echo "plain $name" ;;
  esac
done
exit 0
