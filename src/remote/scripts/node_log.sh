# $1 install path, $2 port, $3 pid
# Prints the node's last lines, from its log file and from syslog; then, if another process holds the port, who.
install=$1 port=$2 pid=$3
log=$install/logs/memcached-$port.log
# Only what the last start wrote.
[ -f "$log" ] && awk '/^--- .* started by arcusctl$/ { text = ""; next } { text = text $0 "\n" } END { printf "%s", text }' "$log" | tail -n 20
if [ -S /dev/log ]; then
  if command -v journalctl >/dev/null 2>&1; then
    journalctl -q --no-pager -n 20 -o cat "_PID=$pid" 2>/dev/null
  else
    for file in /var/log/syslog /var/log/messages /var/log/daemon.log; do
      [ -r "$file" ] && tail -n 2000 "$file" | grep -F "memcached[$pid]" | tail -n 20 && break
    done
  fi
fi
hex=$(printf '%04X' "$port")
inode=$(awk -v port=":$hex" '$4 == "0A" && substr($2, length($2) - 4) == port { print $10; exit }' /proc/net/tcp /proc/net/tcp6 2>/dev/null)
[ -n "$inode" ] || exit 0
for descriptor in /proc/[0-9]*/fd/*; do
  [ "$(readlink "$descriptor" 2>/dev/null)" = "socket:[$inode]" ] || continue
  holder=${descriptor#/proc/}
  holder=${holder%%/*}
  # A node that has not joined yet listens already.
  [ "$holder" != "$pid" ] || continue
  echo "port $port is held by process $holder: $(tr '\000' ' ' <"/proc/$holder/cmdline" 2>/dev/null)"
  break
done
exit 0
