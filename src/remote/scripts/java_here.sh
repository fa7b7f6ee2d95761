# find_java: sets java to the Java that a server would be started with and version to what it is; empty where there is
# none, or where it does not say. Uses with_java of processes_here.sh.
find_java() {
  with_java
  java=${JAVA_HOME:+$JAVA_HOME/bin/java} version=
  [ -x "$java" ] || java=$(command -v java 2>/dev/null) || return 0
  # Its own file tells the version; starting a virtual machine for that takes a hundred times as long.
  home=$(readlink -f "$java")
  home=${home%/bin/java}
  for release in "$home/release" "${home%/jre}/release"; do
    [ -z "$version" ] && [ -r "$release" ] || continue
    while IFS='=' read -r key value; do
      [ "$key" != JAVA_VERSION ] || version=$value
    done <"$release"
  done
  if [ -z "$version" ]; then
    said=$("$java" -version 2>&1 </dev/null)
    case $said in *' version "'*) version=${said#*' version "'} version=${version%%'"'*} ;; esac
  fi
  version=${version#'"'}
  version=${version%'"'}
}
