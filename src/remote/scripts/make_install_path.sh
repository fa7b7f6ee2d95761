# $1 install path, $2 the user to give it and all in it to, or ''
umask 022
mkdir -p "$1" || exit 1
# Links are given away themselves, never what they lead to.
[ -z "$2" ] || { chown -hR "$2:" "$1" && chmod u+rwx "$1"; }
