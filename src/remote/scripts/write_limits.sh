# $1… lines of /etc/security/limits.d/arcus.conf
put_file /etc/security/limits.d/arcus.conf '# Written by arcusctl hosts prepare: what cache nodes need.' "$@"
