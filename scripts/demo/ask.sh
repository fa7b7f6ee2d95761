#!/usr/bin/env bash
# Asks one cache node and prints what it answers: ask.sh IP PORT LAST-LINE LINE…
# Fails unless LAST-LINE comes within 5 seconds of the line before it.
set -euo pipefail
ip=$1 port=$2 last=$3
exec 3<>"/dev/tcp/$ip/$port"
printf '%s\r\n' "${@:4}" >&3
while IFS= read -r -t 5 -u 3 line; do
  line=${line%$'\r'}
  printf '%s\n' "$line"
  [ "$line" != "$last" ] || exit 0
done
printf 'error: %s:%s did not answer %s\n' "$ip" "$port" "$last" >&2
exit 1
