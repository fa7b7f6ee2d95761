# $1 package manager: apt-get, dnf or yum; $2 package
# Prints the version of the Java that is found afterwards. What the package manager says goes to standard error.
manager=$1 package=$2
PATH=$PATH:/usr/sbin:/sbin
export LC_ALL=C DEBIAN_FRONTEND=noninteractive
# Services that use a library which is installed as well are not to be restarted for it.
export NEEDRESTART_SUSPEND=1
install() { apt-get -q -y -o DPkg::Lock::Timeout=300 install --no-install-recommends "$package" </dev/null 2>&1; }
case $manager in
  apt-get)
    # Lists may be old or absent. When they cannot be fetched, what is there may still do.
    apt-get -q -y -o DPkg::Lock::Timeout=120 update </dev/null >&2
    said=$(install)
    ended=$?
    printf '%s\n' "$said" >&2
    case $ended:$said in
      0:*) ;;
      # An earlier run that was cut short leaves packages half configured; apt-get then refuses to do anything.
      *'dpkg was interrupted'*) dpkg --configure -a </dev/null >&2 && install >&2 ;;
      *) false ;;
    esac
    ;;
  *) "$manager" -q -y install "$package" </dev/null >&2 ;;
esac || exit 1
find_java
if [ -z "$java" ]; then echo "$package is installed, but there is still no java in PATH or JAVA_HOME" >&2; exit 1; fi
echo "${version:-unknown}"
