# in_use RELEASE: a process executes that directory, or there is one that cannot be looked at.
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
