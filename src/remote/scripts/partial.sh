# $1 install path, $2 release; prints the SHA-256 of the part of its archive that is here
sha256sum <"$1/releases/.$2.tar.gz" | cut -c1-64
