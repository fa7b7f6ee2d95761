# $1 package manager: apt-get, dnf or yum; $2 package
# Prints the version of the Java that is found afterwards. What the package manager says goes to standard error.
manager=$1 package=$2
PATH=$PATH:/usr/sbin:/sbin
export DEBIAN_FRONTEND=noninteractive
case $manager in
  apt-get)
    # An earlier run that was cut short leaves packages half configured, and apt-get then refuses to do anything.
    dpkg --configure -a </dev/null >&2
    # Lists may be old or absent. When they cannot be fetched, what is there may still do.
    apt-get -q -y -o DPkg::Lock::Timeout=120 update </dev/null >&2
    apt-get -q -y -o DPkg::Lock::Timeout=300 install --no-install-recommends "$package" </dev/null >&2
    ;;
  *) "$manager" -q -y install "$package" </dev/null >&2 ;;
esac || exit 1
find_java
if [ -z "$java" ]; then echo "$package is installed, but there is still no java in PATH or JAVA_HOME" >&2; exit 1; fi
echo "${version:-unknown}"
