# $1 user: makes a system user that cannot log in, unless there is one of that name.
PATH=$PATH:/usr/sbin:/sbin
user=$1
if id "$user" >/dev/null 2>&1; then exit 0; fi
for shell in /usr/sbin/nologin /sbin/nologin /bin/false; do
  [ ! -x "$shell" ] || break
done
# A group of that name may be left from a user that was removed; useradd makes one only where there is none.
group=--user-group
if grep -q "^$user:" /etc/group; then group=--gid=$user; fi
useradd --system --no-create-home --home-dir /nonexistent --shell "$shell" "$group" "$user"
