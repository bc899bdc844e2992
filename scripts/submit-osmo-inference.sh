#!/usr/bin/env bash
# Export a checkpoint on OSMO, check the exports and play them in simulation.
# Takes the flags of `gaitway infer`; --help lists them.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
export TRAINING_PATH="${TRAINING_PATH:-$root/src/training}"
gaitway="$root/.venv/bin/gaitway"
[ -x "$gaitway" ] || gaitway=gaitway
exec "$gaitway" infer --on osmo --yes "$@"
