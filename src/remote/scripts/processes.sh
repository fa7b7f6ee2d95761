# $1 install path.
# Prints `host`, its current release, the seconds that it is up, and how many clock ticks are a second; then a line for
# each process called memcached: pid, start time, executable, arguments. Tabs are between, and the arguments are separated
# by the unit separator.
tab=$(printf '\t')
# A name with a tab or a line end in it would look like other processes; it is nobody's that arcusctl installed.
executable_of() {
  file=$(readlink "$1/exe" 2>/dev/null)
  case $file in *"$tab"* | *"
"*) file= ;; esac
}
release=$(readlink "$1/current" 2>/dev/null)
read -r up _ 2>/dev/null </proc/uptime
printf 'host\t%s\t%s\t%s\n' "${release##*/}" "$up" "$(getconf CLK_TCK 2>/dev/null || echo 100)"
for process in $(processes_here memcached); do
  arguments=$(tr '\000\n\t' '\037  ' 2>/dev/null <"$process/cmdline") || continue
  [ -n "$arguments" ] || continue
  # The name in parentheses may hold blanks; the start time is the 20th field after it.
  read -r stat 2>/dev/null <"$process/stat" || continue
  set -- ${stat##*) }
  executable_of "$process"
  printf '%s\t%s\t%s\t%s\n' "${process#/proc/}" "${20}" "$file" "$arguments"
done
exit 0
