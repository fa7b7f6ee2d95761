# $1 install path, $2 conf directory, $3 data directory
# Prints: myid, configured, pid, installed, java, then 'config' and the zoo.cfg whole
install=$1 conf=$2 data=$3
echo "myid $(cat "$data/myid" 2>/dev/null)"
if [ -f "$conf/zoo.cfg" ]; then echo "configured yes"; else echo "configured no"; fi
pid=$(zookeeper_pid "$conf/zoo.cfg")
echo "pid $pid"
if [ -f "$install/zookeeper/bin/zkServer.sh" ]; then echo "installed yes"; else echo "installed no"; fi
# A Java outside of PATH is often made known to login shells only.
if [ -z "${JAVA_HOME:-}" ] && ! command -v java >/dev/null 2>&1; then . /etc/profile >/dev/null 2>&1 </dev/null; fi
if [ -x "${JAVA_HOME:+$JAVA_HOME/bin/java}" ] || command -v java >/dev/null 2>&1; then echo "java yes"; else echo "java no"; fi
echo config
cat "$conf/zoo.cfg" 2>/dev/null
exit 0
