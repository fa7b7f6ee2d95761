# $1 install path, $2 what is destroyed, as one line
# The ensemble has stopped and can no longer say that nobody needs its data; this says so to a later run.
set -eu
cd "$1"
printf '%s\n' "$2" >.arcusctl-destroy.new
mv .arcusctl-destroy.new .arcusctl-destroy
