# processes_here NAME: prints /proc/PID of each process of that name on this machine. A container's processes are listed
# in its host's /proc as well; they live in a network of their own and are none of this machine's.
network=$(readlink /proc/self/ns/net 2>/dev/null)
# -ef spares a readlink for each of what may be dozens of processes; not every sh has it.
if [ / -ef / ] 2>/dev/null; then
  in_other_network() { [ -e "$1/ns/net" ] && ! [ "$1/ns/net" -ef /proc/self/ns/net ]; }
else
  in_other_network() {
    theirs=$(readlink "$1/ns/net" 2>/dev/null)
    [ -n "$theirs" ] && [ "$theirs" != "$network" ]
  }
fi
processes_here() {
  for process in /proc/[0-9]*; do
    read -r name 2>/dev/null <"$process/comm" || continue
    [ "$name" = "$1" ] || continue
    # Other users' namespaces cannot be read without being root; those processes are kept.
    in_other_network "$process" || echo "$process"
  done
}
# zookeeper_pid ZOO_CFG: prints the pid of the server that runs with this configuration file.
zookeeper_pid() {
  wanted=$(readlink -f "$1" 2>/dev/null)
  [ -n "$wanted" ] || return 0
  for process in $(processes_here java); do
    # The argument after the main class is the configuration file.
    given=$(tr '\000' '\n' 2>/dev/null <"$process/cmdline" | sed -n '/QuorumPeerMain$\|ZooKeeperServerMain$/{n;p;q;}')
    [ -n "$given" ] && [ "$(readlink -f "$given" 2>/dev/null)" = "$wanted" ] && echo "${process#/proc/}"
  done
  return 0
}
# started_at PID: prints when the process started, which together with its number names it for good; nothing once it ended.
started_at() {
  stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 0
  # The name in parentheses may hold blanks. A zombie has ended.
  set -- ${stat##*) }
  [ "$1" = Z ] || echo "${20}"
}
# wait_for PID START SECONDS: waits until that process has ended.
wait_for() {
  end=$(($(date +%s) + $3))
  while [ "$(started_at "$1")" = "$2" ]; do
    [ "$(date +%s)" -lt "$end" ] || return 1
    sleep 0.1
  done
}
# with_java: makes a Java known that only login shells are told of. What /etc/profile does cannot end this script.
with_java() {
  if [ -n "${JAVA_HOME:-}" ] || command -v java >/dev/null 2>&1; then return; fi
  told=$(. /etc/profile >/dev/null 2>&1 </dev/null; printf '%s\n%s' "${JAVA_HOME:-}" "$PATH")
  [ -n "$told" ] || return 0
  JAVA_HOME=${told%%
*}
  PATH=${told#*
}
  export PATH
  if [ -n "$JAVA_HOME" ]; then export JAVA_HOME; else unset JAVA_HOME; fi
}
