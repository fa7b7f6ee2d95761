# $1 conf directory; sets zoo.cfg aside, so that nothing starts this member again by mistake
set -eu
[ ! -e "$1/zoo.cfg" ] || mv "$1/zoo.cfg" "$1/zoo.cfg.removed"
