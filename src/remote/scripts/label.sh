# $1 install path, $2 release, $3 label
set -eu
cd "$1/releases/$2"
printf '%s\n' "$3" >.arcusctl-label.new
mv .arcusctl-label.new .arcusctl-label
