# put_file PATH LINE…: writes a configuration file that everybody may read, whole or not at all.
put_file() {
  umask 022
  target=$1
  shift
  mkdir -p "$(dirname "$target")" || return 1
  # A link that lies there is replaced, not followed.
  rm -f "$target.arcusctl-new" || return 1
  printf '%s\n' "$@" >"$target.arcusctl-new" && mv -f "$target.arcusctl-new" "$target"
}
