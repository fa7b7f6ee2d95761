# $1… all lines of /etc/security/limits.d/arcus.conf
file=/etc/security/limits.d/arcus.conf
# A file that is there has said in its own words what it is.
[ -f "$file" ] || set -- '# Written by arcusctl hosts prepare: what cache nodes need.' "$@"
put_file "$file" "$@"
