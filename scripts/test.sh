#!/usr/bin/env bash
# make test: packages, build, then every test of the workspace; arguments go to cargo test.
# The end-to-end tests need root for their labs; for anybody else cargo starts the test programs by sudo.
set -euo pipefail
. "$(dirname "$0")/common.sh"

"$root/scripts/install-packages.sh"
build
cd "$root"
let_cargo_run_as_root "a lab of SSH hosts"
# The tests wait more than they compute: for servers to start, for sessions to expire.
export RUST_TEST_THREADS=${RUST_TEST_THREADS:-$(($(nproc) * 2))}
# Snapshots are part of what is tested; they are changed by hand: INSTA_UPDATE=always cargo test --lib
export INSTA_UPDATE=${INSTA_UPDATE:-no}
say "cargo test --workspace, $RUST_TEST_THREADS tests at a time"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
status=0
cargo test --workspace --locked --no-fail-fast "$@" </dev/null 2>&1 | tee "$log" || status=$?
# cargo closes each test program on its own; this is all of them.
if [ $status != 0 ] && ! grep -q '^test result: FAILED' "$log"; then
  echo "error: a test program could not be built, or ended without a result" >&2
fi
awk '/^test result: / && match($0, /[0-9]+ passed; [0-9]+ failed/) {
  split(substr($0, RSTART, RLENGTH), part, /[ ;]+/)
  passed += part[1]
  failed += part[3]
}
END { printf "\n%d passed, %d failed\n", passed, failed }' "$log"
exit $status
