# Process 1 of a lab host: gives it sshd and reaps whatever is orphaned there. Arguments: lab directory, host name.
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export PATH
# The limits of a freshly installed machine, wherever the lab was started from.
ulimit -S -n 1024
ulimit -H -n 524288 2>/dev/null
ulimit -S -c 0
ulimit -H -c unlimited 2>/dev/null
umask 022
mount -t proc -o nosuid,nodev,noexec proc /proc || exit 1
mkdir -p /run/sshd /run/lock
install -d -o memcached -g memcached -m 755 /run/memcached
/usr/sbin/sshd -D -e &
while :; do
    sleep infinity &
    # dash and bash both reap strangers here, too.
    wait
done
