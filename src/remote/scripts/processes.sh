# Prints one line for each process called memcached: pid, start time, executable, arguments; tabs between, and the
# arguments separated by the unit separator.
for process in $(processes_here memcached); do
  arguments=$(tr '\000\n\t' '\037  ' 2>/dev/null <"$process/cmdline") || continue
  [ -n "$arguments" ] || continue
  # The name in parentheses may hold blanks; the start time is the 20th field after it.
  stat=$(cat "$process/stat" 2>/dev/null) || continue
  set -- ${stat##*) }
  printf '%s\t%s\t%s\t%s\n' "${process#/proc/}" "${20}" "$(readlink "$process/exe" 2>/dev/null)" "$arguments"
done
exit 0
