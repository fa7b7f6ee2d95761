#!/usr/bin/env bash
# make bench: packages, then the benchmarks in a lab; arguments pick sections (help start list deploy-10 deploy-100 redeploy growth check status).
set -euo pipefail
. "$(dirname "$0")/common.sh"

"$root/scripts/install-packages.sh"
require_cargo
cd "$root"
let_cargo_run_as_root "a lab of SSH hosts"
cargo bench --locked --bench lab -- "$@" </dev/null
