# $1 install path, $2 user of the cache nodes, $3 open files that a cache node needs or 0, then any number of
#   port N | member CLIENT PEER ELECTION CONF DATA LOG | toward HOST | reach HOST PORT | library NAME
# Prints 'key value' lines; what cannot be told is left out. The time comes first: when it arrives bounds the clock.
# Few processes are started: a fleet is asked at once, and what each host costs is waited for.
echo "time $(date +%s.%N)"
LC_ALL=C
export LC_ALL
PATH=$PATH:/usr/sbin:/sbin
install=$1 user=$2 files=$3
shift 3
tab='	'
newline='
'
while read -r key value _; do
  if [ "$key" = Uid: ]; then uid=$value && break; fi
done </proc/self/status
echo "user ${uid:-unknown} ${LOGNAME:-${USER:-}}"
machine=$(uname -m)
echo "architecture $machine"
while IFS='=' read -r key value; do
  [ "$key" != PRETTY_NAME ] || echo "os $value"
done 2>/dev/null </etc/os-release
read -r kernel </proc/sys/kernel/ostype && echo "kernel $kernel"
tell_machine
read -r _ memory _ 2>/dev/null </proc/meminfo && echo "memory $memory"
for tool in bash tar gzip ps flock sha256sum setsid sed; do
  command -v "$tool" >/dev/null 2>&1 || echo "lacks $tool"
done

# place PATH: the nearest that exists of it, and whether it can be written to.
places= java=no libraries= ports= towards= targets=
place() {
  existing=$1 kind=other access=ro
  while [ ! -e "$existing" ] && [ -n "$existing" ]; do existing=${existing%/*}; done
  existing=${existing:-/}
  [ ! -d "$existing" ] || kind=directory
  [ ! -w "$existing" ] || access=rw
  echo "place $1$tab$existing$tab$kind$tab$access"
  places=$places$existing$newline
}
place "$install"
while [ $# -gt 0 ]; do
  case $1 in
    port) ports="$ports $2" && shift 2 ;;
    toward) towards="$towards $2" && shift 2 ;;
    reach) targets="$targets $2:$3" && shift 3 ;;
    library) libraries="$libraries $2" && shift 2 ;;
    member)
      ports="$ports $2 $3 $4" java=wanted
      place "$6"
      place "$7"
      id=
      { read -r id <"$6/myid"; } 2>/dev/null
      echo "myid $2 $id"
      [ ! -e "$5/zoo.cfg" ] || echo "configured $2 $(readlink -f "$5/zoo.cfg")"
      shift 7
      ;;
    *) break ;;
  esac
done
set -f
IFS=$newline
# shellcheck disable=SC2086
set -- $(df -Pk $places 2>/dev/null)
[ $# = 0 ] || shift
for line in "$@"; do echo "disk $line"; done
unset IFS

run=/var/run/memcached
if [ -d "$run" ]; then
  access=ro
  [ ! -w "$run" ] || access=rw
  echo "run directory $access $(stat -c %U "$run" 2>/dev/null)"
elif [ -e "$run" ]; then
  echo "run other"
else
  echo "run none"
fi

if [ "$uid" = 0 ]; then
  account=$(getent passwd "$user" 2>/dev/null) && echo "account $account"
  command -v getent >/dev/null 2>&1 || echo "account unknown"
elif command -v sudo >/dev/null 2>&1 && sudo -n true </dev/null >/dev/null 2>&1; then
  echo "sudo yes"
else
  echo "sudo no"
fi

echo "files $(ulimit -S -n) $(ulimit -H -n)"
# Whether the limit can be had is tried; it ends with this subshell.
if [ "$files" != 0 ] && (ulimit -n "$files") 2>/dev/null; then echo "files-granted yes"; fi
if (ulimit -c unlimited) 2>/dev/null; then echo "core unlimited"; else echo "core $(ulimit -H -c)"; fi

if [ "$java" = wanted ]; then
  find_java
  if [ -n "$java" ]; then
    echo "java $java$tab$version"
  fi
fi

# held_port LINE: the port of ours that a line of ss is about, if it is about one.
held_port() {
  for port in $ports; do
    case $1 in *":$port "*) return 0 ;; esac
  done
  return 1
}
# Who listens: ss asks the kernel for these sockets alone, however many connections there are. Whose they are it finds in
# the open files of all processes, so that is asked only when a port is taken.
if command -v ss >/dev/null 2>&1; then
  listening=$(ss -ltn 2>/dev/null)
  IFS=$newline
  for line in $listening; do
    unset IFS
    if held_port "$line"; then
      listening=$(ss -ltnp 2>/dev/null)
      break
    fi
  done
  unset IFS
else
  # No pid can be told without root; a port that is taken can.
  listening=
  sockets=$(grep -h ' 0A ' /proc/net/tcp /proc/net/tcp6 2>/dev/null)
  for port in $ports; do
    hex=$(printf %04X "$port")
    IFS=$newline
    for line in $sockets; do
      unset IFS
      # shellcheck disable=SC2086
      set -- $line
      [ "${2##*:}" = "$hex" ] || continue
      set +f
      holder=$(find /proc/[0-9]*/fd -lname "socket:\[${10}\]" 2>/dev/null)
      set -f
      holder=${holder%%"$newline"*} holder=${holder#/proc/} holder=${holder%%/*} name=
      [ -z "$holder" ] || read -r name 2>/dev/null <"/proc/$holder/comm"
      listening="${listening}LISTEN 0 0 *:$port *:* users:((\"$name\",pid=$holder,fd=0))$newline"
    done
    unset IFS
  done
  listening=${listening:-none}
fi
if [ -n "$listening" ]; then echo "listening known"; fi
holders=
IFS=$newline
for line in $listening; do
  unset IFS
  held_port "$line" || continue
  echo "listen $line"
  case $line in
    *pid=[0-9]*)
      holder=${line#*pid=}
      case " $holders " in *" ${holder%%,*} "*) ;; *) holders="$holders ${holder%%,*}" ;; esac
      ;;
  esac
done
unset IFS
for holder in $holders; do
  executable=$(readlink "/proc/$holder/exe" 2>/dev/null)
  echo "holder $holder $executable"
  case ${executable##*/} in
    java*)
      # The argument after the main class is the configuration file.
      given=$(tr '\000' '\n' 2>/dev/null <"/proc/$holder/cmdline" | sed -n '/QuorumPeerMain$\|ZooKeeperServerMain$/{n;p;q;}')
      [ -z "$given" ] || echo "config $holder $(readlink -f "$given")"
      ;;
    memcached*) echo "program $holder $(tr '\000' '\n' 2>/dev/null <"/proc/$holder/cmdline" | head -n 1)" ;;
  esac
done

addresses=
for host in $towards; do
  case $host in
    *[!0-9.]*)
      found=$(getent ahostsv4 "$host" 2>/dev/null)
      address=${found%% *}
      ;;
    *) address=$host ;;
  esac
  if [ -n "$address" ]; then
    echo "resolved $host $address"
    addresses="${addresses}route get $address$newline"
  else
    echo "unresolved $host"
  fi
done
if [ -n "$addresses" ] && command -v ip >/dev/null 2>&1; then
  echo "routes known"
  routes=$(ip -o -force -batch - 2>/dev/null <<END
$addresses
END
  )
  IFS=$newline
  for line in $routes; do echo "route $line"; done
  unset IFS
fi

# attempt SECONDS CODE TARGET…: runs bash code for these targets, and says what became of those that it came to.
attempt() {
  seconds=$1 code=$2
  shift 2
  said=$(timeout "$seconds" bash -c "$code" bash "$@" </dev/null 2>/dev/null)
  IFS=$newline
  for line in $said; do
    case $line in
      'reach '*) ;;
      */dev/tcp/*)
        target=${line#*/dev/tcp/}
        line="reach ${target%%/*} ${target#*/}"
        line="${line%%: *} ${line#*: }"
        ;;
      *) continue ;;
    esac
    echo "$line"
    # shellcheck disable=SC2086
    answered="$answered${line#reach } "
  done
  unset IFS
}
if [ -n "$targets" ] && command -v bash >/dev/null 2>&1 && command -v timeout >/dev/null 2>&1; then
  echo "reaching known"
  answered=' '
  # Open or refused, most answer at once, and one bash can ask them in turn.
  # shellcheck disable=SC2016,SC2086
  attempt 2 'for target; do
    host=${target%:*} port=${target##*:}
    { echo "reach $host $port ok"; } 2>&1 3<>"/dev/tcp/$host/$port"
  done' $targets
  silent=
  for target in $targets; do
    case $answered in *" ${target%:*} ${target##*:} "*) ;; *) silent="$silent $target" ;; esac
  done
  # The first that did not answer held up those after it; now each has a process and time of its own.
  # shellcheck disable=SC2016,SC2086
  [ -z "$silent" ] || attempt 4 'for target; do
    (
      host=${target%:*} port=${target##*:}
      said=$({ echo "reach $host $port ok"; } 2>&1 3<>"/dev/tcp/$host/$port")
      echo "$said"
    ) &
  done
  wait' $silent
fi

if [ -n "$libraries" ]; then
  echo "libc $(getconf GNU_LIBC_VERSION 2>/dev/null)"
  cached=
  case $machine in
    x86_64) tag='libc6,x86-64' ;;
    aarch64) tag='libc6,AArch64' ;;
    *) tag='' ;;
  esac
  for library in $libraries; do
    found=
    for directory in /lib64 /usr/lib64 "/lib/$machine-linux-gnu" "/usr/lib/$machine-linux-gnu"; do
      [ -e "$directory/$library" ] && found=yes && break
    done
    [ -z "$found" ] || continue
    # Its cache knows the other directories of the loader; on most hosts nobody has to ask.
    cached=${cached:-$(ldconfig -p 2>/dev/null || echo none)}
    case $cached in
      *"$tab$library ($tag"*)
        # What was removed since stands in the cache all the same.
        found=${cached#*"$tab$library ($tag"} found=${found#*=> } found=${found%%"$newline"*}
        [ -e "$found" ] || echo "absent $library"
        ;;
      *) echo "absent $library" ;;
    esac
  done
fi

# What the loader finds for a program or library, which it traces and does not run.
case $machine in
  x86_64) loader=/lib64/ld-linux-x86-64.so.2 ;;
  aarch64) loader=/lib/ld-linux-aarch64.so.1 ;;
  *) loader= ;;
esac
if [ -x "$install/bin/memcached" ]; then
  echo "installed yes"
  for file in bin/memcached lib/default_engine.so; do
    if [ -x "$loader" ]; then said=$(LD_TRACE_LOADED_OBJECTS=1 "$loader" "$install/$file" 2>&1); else said=$(ldd "$install/$file" 2>&1); fi
    IFS=$newline
    for line in $said; do
      case $line in
        *'not found'* | *'error while loading'* | *'not a dynamic'* | *'No such file'*) echo "loader $file $line" ;;
      esac
    done
    unset IFS
  done
fi
echo "end"
exit 0
