# $1 directory, $2 owner, $3 the line of /etc/tmpfiles.d/arcus.conf by which systemd makes it anew at each boot, or ''
umask 022
if [ -L "$1" ]; then echo "$1 is a symbolic link" >&2; exit 65; fi
mkdir -p "$1" && chown "$2:" "$1" && chmod 755 "$1" || exit 1
[ -z "$3" ] || put_file /etc/tmpfiles.d/arcus.conf '# Written by arcusctl hosts prepare.' "$3"
