# Sourced by zkServer.sh and zkCli.sh of the sample Arcus tree. The distribution's version of this file points at the
# distribution's own /etc/zookeeper; this one keeps to the tree it lies in, and knows what Apache's knows:
# --config DIR, ZOOCFGDIR, ZOOCFG, ZOO_LOG_DIR, JAVA_HOME, ZK_SERVER_HEAP, conf/zookeeper-env.sh and conf/java.env.

ZOOBINDIR="${ZOOBINDIR:-$(cd "$(dirname "${BASH_SOURCE:-$0}")" && pwd)}"
ZOOKEEPER_PREFIX="$(cd "$ZOOBINDIR/.." && pwd)"

if [ "${1:-}" = "--config" ]; then
    if [ ! -d "${2:-}" ]; then
        echo "Error: '${2:-}' is not a directory" >&2
        exit 1
    fi
    ZOOCFGDIR=$2
    shift 2
fi

ZOOCFGDIR="${ZOOCFGDIR:-$ZOOKEEPER_PREFIX/conf}"
if [ -f "$ZOOCFGDIR/zookeeper-env.sh" ]; then
    . "$ZOOCFGDIR/zookeeper-env.sh"
fi
ZOOCFG="$ZOOCFGDIR/${ZOOCFG:-zoo.cfg}"
if [ -f "$ZOOCFGDIR/java.env" ]; then
    . "$ZOOCFGDIR/java.env"
fi
ZOO_LOG_DIR="${ZOO_LOG_DIR:-$ZOOKEEPER_PREFIX/logs}"

JAVA=java
if [ -n "${JAVA_HOME:-}" ] && [ -x "$JAVA_HOME/bin/java" ]; then
    JAVA="$JAVA_HOME/bin/java"
fi

# The tree's own conf comes second: a --config directory needs no logging configuration.
CLASSPATH="$ZOOCFGDIR:$ZOOKEEPER_PREFIX/conf"
for jar in "$ZOOKEEPER_PREFIX"/lib/*.jar; do
    CLASSPATH="$CLASSPATH:$jar"
done

# A sample ensemble shares its machine with many others: the cheap collector and compiler start in half the time.
SERVER_JVMFLAGS="-Xmx${ZK_SERVER_HEAP:-1000}m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 ${SERVER_JVMFLAGS:-}"
CLIENT_JVMFLAGS="-Xmx${ZK_CLIENT_HEAP:-256}m -XX:TieredStopAtLevel=1 ${CLIENT_JVMFLAGS:-}"
