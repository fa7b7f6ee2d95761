# Sourced by the other scripts: where things are, how to say something, how to be root.
# shellcheck shell=bash

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
case ${CARGO_TARGET_DIR:=$root/target} in
  /*) target=$CARGO_TARGET_DIR ;;
  *) target=$root/$CARGO_TARGET_DIR ;;
esac
export CARGO_TARGET_DIR=$target

bold='' plain=''
if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then bold=$'\e[1m' plain=$'\e[0m'; fi

say() { printf '%s==> %s%s\n' "$bold" "$*" "$plain"; }

fail() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}

# Asks for a password where sudo wants one.
can_be_root() {
  [ "$(id -u)" = 0 ] || { command -v sudo >/dev/null && { sudo -n true 2>/dev/null || sudo -v; }; }
}

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo -E "$@"; fi
}

# Lets cargo start what it built as root, for labs; cargo itself and what it writes stay the caller's.
let_cargo_run_as_root() {
  [ "$(id -u)" != 0 ] || return 0
  can_be_root || fail "$1 needs root, and sudo does not give it"
  local triple
  triple=$(rustc -vV | sed -n 's/^host: //p')
  export "CARGO_TARGET_$(printf %s "$triple" | tr 'a-z-' 'A-Z_')_RUNNER=sudo -E"
}

require_cargo() {
  command -v cargo >/dev/null || fail "cargo is missing: install a Rust toolchain first (version $(rust_version) or later)"
}

rust_version() { sed -n 's/^rust-version *= *"\(.*\)"/\1/p' "$root/Cargo.toml" | head -n 1; }

# The programs of the workspace, unoptimised: the tests use the same.
build() {
  require_cargo
  say "cargo build --workspace"
  (cd "$root" && cargo build --workspace --locked)
}
