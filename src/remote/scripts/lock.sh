# take_lock FILE SECONDS: holds FILE's lock for as long as this script lives, or says who has it and ends.
# Not every flock can wait by itself. A host without it has no lock.
take_lock() {
  exec 9>"$1"
  command -v flock >/dev/null 2>&1 || return 0
  waited=0
  until flock -n 9; do
    if [ "$waited" -ge "$2" ]; then
      echo "another arcusctl is staging or switching releases on this host" >&2
      exit 75
    fi
    waited=$((waited + 1))
    sleep 1
  done
}
