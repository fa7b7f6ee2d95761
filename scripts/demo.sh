#!/usr/bin/env bash
# make demo: an Arcus cloud on three SSH hosts of a lab, or, where this machine permits no lab, on this machine alone.
#
#   demo.sh          packages, build, then the cloud on whichever of the two is possible
#   demo.sh local    the same, on this machine in any case
#   demo.sh shell    a shell as the lab's admin
#   demo.sh down     takes away whatever the demo set up
set -euo pipefail
. "$(dirname "$0")/common.sh"

arcusctl=$target/debug/arcusctl
lab=$target/debug/arcus-lab
# Where the demo on hosts has its files; of the local one everything lies in a directory that others may enter, since
# cache nodes started by root become another user.
site=$target/demo
home=/var/tmp/arcusctl-demo-$(id -u)
# The sample tree unless a real one is named.
package=${ARCUS_TEST_PACKAGE:-}

as_admin() { as_root "$lab" run --name demo -- "$@"; }

typed() { printf '\n%s$ %s%s\n' "$bold" "$*" "$plain"; }

bundle() {
  if [ -n "$package" ]; then
    say "package: $package"
    cp "$package" "$1"
  else
    say "assembling the sample Arcus tree"
    "$lab" bundle --out "$1"
  fi
}

# Stores a value through one node and reads it back; the words after the port run a command where it can be reached.
store_and_read() {
  local ip=$1 port=$2
  shift 2
  say "a value through $ip:$port"
  typed "set greeting 0 60 5"
  "$@" timeout 20 "$root/scripts/demo/ask.sh" "$ip" "$port" STORED 'set greeting 0 60 5' hello
  typed "get greeting"
  "$@" timeout 20 "$root/scripts/demo/ask.sh" "$ip" "$port" END 'get greeting' | tee "$answer"
  grep -qx hello "$answer" || fail "$ip:$port did not give back what was stored"
}

# Shows a table and insists on what it says.
expect() {
  local pattern=$1
  shift
  typed "arcusctl $*"
  "${run[@]}" "$@" | tee "$answer"
  grep -Eq "$pattern" "$answer" || fail "the cloud is not as it should be"
}

on_hosts() {
  on_failure='the demo failed; its hosts are left as they are: make demo-shell, make demo-down'
  remove_lab
  mkdir -p "$site"
  cp "$root"/scripts/demo/{cloud.json,arcusctl.toml} "$site"
  bundle "$site/arcus.tar.gz"
  say "three hosts, each with its own disk, processes, address and sshd"
  as_root "$lab" up 3 --name demo
  cd "$site"
  run=(as_admin "$arcusctl")
  local step
  for step in "deploy cloud.json" "zookeeper init" "zookeeper start" "zookeeper stat" \
    "memcached register cloud.json" "memcached start demo-cloud"; do
    typed "arcusctl $step"
    # shellcheck disable=SC2086 # words
    "${run[@]}" $step
  done
  expect 'demo-cloud +OK +6 +6 +0' memcached list demo-cloud
  store_and_read 10.77.1.2 11211 as_admin
  what_next_on_hosts
}

what_next_on_hosts() {
  local sudo='' there=${lab#"$root"/}
  [ "$(id -u)" = 0 ] || sudo='sudo '
  cat <<END

${bold}Six nodes are online. Try next${plain}
  make demo-shell                                          a shell as the lab's admin, arcusctl in its PATH; there:
    arcusctl memcached stop demo-cloud 10.77.1.1:11211     one node
    arcusctl status demo-cloud                             how each node does, and what is wrong
    arcusctl memcached start demo-cloud                    starts what is not running
    arcusctl ping demo-cloud                               members, hosts and nodes, with times
    arcusctl --output json zookeeper stat
    arcusctl deploy cloud.json                             nothing to do: every host has the release
    ssh memcached-1                                        look around: /opt/arcus
  From here:
    ${sudo}$there run --name demo -- ssh memcached-1 uptime     any command as the admin
    ${sudo}$there kill memcached-3 --name demo     cuts a host's power; boot memcached-3 gives it back
    ${sudo}$there cut memcached-2 --name demo      pulls its cable; join memcached-2 plugs it in
  make demo-down                                           takes it all away
END
}

is_taken() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

on_this_machine() {
  on_failure='the demo failed; what it started is left as it is: make demo-down'
  remove_local
  local port user=''
  for port in 2181 11211 11212; do
    if is_taken "$port"; then fail "something listens on 127.0.0.1:$port already; the local cloud of conf/local.json needs that port"; fi
  done
  mkdir -m 755 "$home"
  bundle "$home/arcus.tar.gz"
  # Cache nodes refuse to run as root.
  for user in memcached memcache nobody; do
    if id "$user" >/dev/null 2>&1; then break; fi
  done
  cat >"$home/arcusctl.toml" <<END
# The settings of 'make demo' on this machine alone.
install_path = "$home/arcus"
package = "arcus.tar.gz"

[memcached]
user = "$user"
# Nobody else is to reach this cloud.
extra_args = ["-l", "127.0.0.1"]

[zookeeper]
servers = ["127.0.0.1:2181"]

[zookeeper.properties]
clientPortAddress = "127.0.0.1"
END
  # ZooKeeper's management port would be open to everybody, too.
  export ARCUSCTL_SETTINGS=$home/arcusctl.toml JMXDISABLE=true
  cd "$root"
  run=("$arcusctl")
  typed "export ARCUSCTL_SETTINGS=$ARCUSCTL_SETTINGS"
  typed "arcusctl quicksetup conf/local.json"
  "${run[@]}" quicksetup conf/local.json
  expect 'local-cloud +OK +2 +2 +0' memcached listall
  store_and_read 127.0.0.1 11211
  cat <<END

${bold}Two nodes are online on this machine. Try next${plain}
  export ARCUSCTL_SETTINGS=$ARCUSCTL_SETTINGS
  ${arcusctl#"$root"/} memcached stop local-cloud 127.0.0.1:11212
  ${arcusctl#"$root"/} memcached list local-cloud
  ${arcusctl#"$root"/} memcached start local-cloud
  ${arcusctl#"$root"/} ping local-cloud
  ${arcusctl#"$root"/} --output json zookeeper stat
  make demo-down                                           takes it all away
END
}

remove_lab() {
  [ -x "$lab" ] && can_be_root || return 0
  local labs
  labs=$(as_root "$lab" list)
  if grep -q '^demo ' <<<"$labs"; then
    say "taking down the lab of the demo"
    as_root "$lab" down --name demo
  fi
  rm -rf "$site"
}

remove_local() {
  [ -e "$home" ] || return 0
  [ -O "$home" ] && [ ! -L "$home" ] || fail "$home is not ours; remove it or have its owner do so"
  if [ -f "$home/arcusctl.toml" ] && [ -e "$home/arcus/current" ]; then
    say "stopping the local cloud"
    [ -x "$arcusctl" ] || build
    export ARCUSCTL_SETTINGS=$home/arcusctl.toml
    # A cloud that never came to be registered has no nodes to stop.
    "$arcusctl" --quiet --yes memcached stop local-cloud --force || true
    "$arcusctl" --quiet --yes zookeeper stop
  fi
  rm -rf "$home"
}

set_up() {
  "$root/scripts/install-packages.sh"
  build
}

on_failure=''
answer=$(mktemp)
finish() {
  local status=$?
  rm -f "$answer"
  if [ $status != 0 ] && [ -n "$on_failure" ]; then say "$on_failure"; fi
}
trap finish EXIT
case ${1:-} in
  '')
    set_up
    status=0
    if can_be_root; then as_root "$lab" probe || status=$?; else status=77; fi
    case $status in
      0) on_hosts ;;
      77)
        say "no lab of SSH hosts is possible here, so the cloud is set up on this machine alone"
        on_this_machine
        ;;
      *) fail "arcus-lab probe failed ($status)" ;;
    esac
    ;;
  local)
    set_up
    on_this_machine
    ;;
  shell)
    [ -d "$site" ] || fail "there is no demo on hosts: make demo"
    cd "$site"
    say "you are the lab's admin; arcusctl is in PATH, exit leaves"
    as_admin env PATH="$target/debug:$PATH" bash
    ;;
  down)
    remove_lab
    remove_local
    say "the demo is down"
    ;;
  *) fail "demo.sh [local|shell|down]" ;;
esac
