# take_lock FILE SECONDS: holds FILE's lock for as long as this script lives, or says who has it and ends.
# Not every flock can wait by itself. A host without it has no lock. Whoever removes the install removes the file, too: a
# lock on what is no longer there is none.
take_lock() {
  exec 9>"$1"
  command -v flock >/dev/null 2>&1 || return 0
  waited=0
  until flock -n 9 && is_open_file 9 "$1"; do
    is_open_file 9 "$1" || exec 9>"$1"
    if [ "$waited" -ge "$2" ]; then
      echo "another arcusctl is staging or switching releases on this host" >&2
      exit 75
    fi
    waited=$((waited + 1))
    sleep 1
  done
}
# is_open_file NUMBER FILE: that file is the one that is open by that number.
is_open_file() { [ "$(stat -L -c %d:%i "/proc/self/fd/$1" 2>/dev/null)" = "$(stat -c %d:%i "$2" 2>/dev/null)" ]; }
