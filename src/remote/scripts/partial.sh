# $1 install path, $2 archive; prints the SHA-256 of the part of it that is here
sha256sum <"$1/releases/$2" | cut -c1-64
