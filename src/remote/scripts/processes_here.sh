# processes_here NAME: prints /proc/PID of each process of that name on this machine. A container's processes are listed
# in its host's /proc as well; they live in a network of their own and are none of this machine's.
network=$(readlink /proc/self/ns/net 2>/dev/null)
processes_here() {
  for process in /proc/[0-9]*; do
    read -r name 2>/dev/null <"$process/comm" || continue
    [ "$name" = "$1" ] || continue
    # Other users' namespaces cannot be read without being root; those processes are kept.
    theirs=$(readlink "$process/ns/net" 2>/dev/null)
    [ -n "$theirs" ] && [ "$theirs" != "$network" ] || echo "$process"
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
