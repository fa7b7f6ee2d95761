#!/usr/bin/env bash
# Installs the Debian/Ubuntu packages that the lab needs (lab/packages.txt), and a linker for cargo where there is none.
# Does nothing when all are there. The services that come with them are not started, neither now nor at the next boot.
set -euo pipefail
. "$(dirname "$0")/common.sh"

policy=/usr/sbin/policy-rc.d
mark='# written by arcusctl: keeps packages from starting their services while they are installed'

is_installed() {
  [ "$(dpkg-query --show --showformat='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

# A policy of the machine's own stays; ours goes when this ends, or at the next run when that was killed.
forbid_services() {
  [ -e "$policy" ] && return
  printf '%s\n' '#!/bin/sh' "$mark" 'exit 101' | as_root tee "$policy" >/dev/null
  as_root chmod 755 "$policy"
}
permit_services() {
  if grep -qsF "$mark" "$policy"; then as_root rm -f "$policy"; fi
}

disable() {
  command -v systemctl >/dev/null || return 0
  local unit
  for unit in "$@"; do
    as_root systemctl disable "$unit" >/dev/null 2>&1 || continue
    # Where the machine's own policy let it start all the same.
    if [ -d /run/systemd/system ]; then as_root systemctl stop "$unit" 2>/dev/null || true; fi
  done
}

if ! command -v apt-get >/dev/null; then
  echo "this machine has no apt-get; see lab/packages.txt for what the lab needs" >&2
  exit 0
fi
mapfile -t needed < <(sed 's/#.*//; s/[[:space:]]//g; /^$/d' "$root/lab/packages.txt")
command -v cc >/dev/null || needed+=(gcc libc6-dev)
missing=()
for package in "${needed[@]}"; do
  is_installed "$package" || missing+=("$package")
done
if [ ${#missing[@]} = 0 ]; then
  say "packages: all ${#needed[@]} are installed"
  exit 0
fi

say "packages to install: ${missing[*]}"
can_be_root || fail "this needs root, and sudo does not give it; as root: apt-get install ${missing[*]}"
trap permit_services EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
permit_services
forbid_services

install=(env DEBIAN_FRONTEND=noninteractive apt-get install --yes --quiet --no-install-recommends "${missing[@]}")
# Package lists that are missing or old are fetched; those that will do are not.
if ! apt-cache show "${missing[@]}" >/dev/null 2>&1; then
  say "apt-get update"
  as_root apt-get update --quiet
  as_root "${install[@]}" </dev/null
elif ! as_root "${install[@]}" </dev/null; then
  say "apt-get update"
  as_root apt-get update --quiet
  as_root "${install[@]}" </dev/null
fi

for package in "${missing[@]}"; do
  case $package in
    openssh-server) disable ssh.socket ssh.service ;;
    memcached) disable memcached.service ;;
  esac
done
say "packages: installed; their services are off (systemctl enable --now ssh or memcached turns one on)"
