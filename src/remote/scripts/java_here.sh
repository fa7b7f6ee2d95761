# java_version: prints the version of the Java that a server would be started with, 'unknown' when it does not say,
# nothing when there is none. Uses with_java of processes_here.sh.
java_version() {
  with_java
  java=${JAVA_HOME:+$JAVA_HOME/bin/java}
  [ -x "$java" ] || java=$(command -v java) || return 0
  version=$("$java" -version 2>&1 </dev/null | sed -n 's/.*version "\([^"]*\)".*/\1/p' | head -n 1)
  echo "${version:-unknown}"
}
