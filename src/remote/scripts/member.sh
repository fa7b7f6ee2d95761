# $1 install path, $2 conf directory, $3 data directory
# Prints: myid, configured, data, pid, installed, java, then 'config' and the zoo.cfg whole, with
# the file that it names for its servers, if it does
install=$1 conf=$2 data=$3
echo "myid $(cat "$data/myid" 2>/dev/null)"
if [ -f "$conf/zoo.cfg" ]; then echo "configured yes"; else echo "configured no"; fi
# A server that never had a quorum leaves an empty first snapshot and no log of transactions.
kept=no
for file in "$data"/version-2/log.* "$data"/version-2/snapshot.*; do
  case $file in *'*' | */snapshot.0) ;; *) kept=yes ;; esac
done
echo "data $kept"
set -- $(zookeeper_pid "$conf/zoo.cfg")
echo "pid ${1:-}"
if [ -f "$install/zookeeper/bin/zkServer.sh" ]; then echo "installed yes"; else echo "installed no"; fi
with_java
if [ -x "${JAVA_HOME:+$JAVA_HOME/bin/java}" ] || command -v java >/dev/null 2>&1; then echo "java yes"; else echo "java no"; fi
echo config
cat "$conf/zoo.cfg" 2>/dev/null
# What was reconfigured at run time has its servers in a file of their own.
dynamic=$(sed -n 's/^[[:space:]]*dynamicConfigFile[[:space:]]*=[[:space:]]*//p' "$conf/zoo.cfg" 2>/dev/null | tail -n 1)
if [ -n "$dynamic" ] && [ -f "$dynamic" ]; then
  echo
  cat "$dynamic"
fi
exit 0
