# $1 install path, $2 what is destroyed, $3 data directory
# Prints 'marked' when that was marked here, and the member kept no transaction since.
read -r found 2>/dev/null <"$1/.arcusctl-destroy" || exit 0
[ "$found" = "$2" ] || exit 0
for file in "$3"/version-2/*; do
  if [ -e "$file" ] && [ "$file" -nt "$1/.arcusctl-destroy" ]; then exit 0; fi
done
echo marked
