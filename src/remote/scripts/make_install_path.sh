# $1 install path, $2 the user to give it to, with all in it that is root's, or ''
umask 022
mkdir -p "$1" || exit 1
# Links are given away themselves, never what they lead to. What others have in it, such as cache nodes, stays theirs.
[ -z "$2" ] || { chown -h "$2:" "$1" && chown -hR --from=root "$2:" "$1" && chmod u+rwx "$1"; }
