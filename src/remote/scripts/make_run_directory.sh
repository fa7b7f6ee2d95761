# $1 directory, $2 owner, $3 the line of /etc/tmpfiles.d/arcus.conf by which systemd makes it anew at each boot, or ''
umask 022
if [ -L "$1" ]; then echo "$1 is a symbolic link" >&2; exit 65; fi
mkdir -p "$1" && chown "$2:" "$1" && chmod 755 "$1" || exit 1
[ -n "$3" ] || exit 0
file=/etc/tmpfiles.d/arcus.conf
# Prints the lines that are there, but for what they say about the directory.
others() {
  while IFS= read -r line || [ -n "$line" ]; do
    case $line in "d $1 "*) ;; *) printf '%s\n' "$line" ;; esac
  done <"$file"
}
kept='# Written by arcusctl hosts prepare.'
if [ -f "$file" ]; then kept=$(others "$1") || exit 1; fi
put_file "$file" ${kept:+"$kept"} "$3"
