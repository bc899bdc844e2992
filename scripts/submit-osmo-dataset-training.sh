#!/usr/bin/env bash
# Train on OSMO; src/training becomes a version of an OSMO dataset, or an upload where OSMO has no datasets (6.4).
# Takes the flags of `gaitway train`; --help lists them.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
export TRAINING_PATH="${TRAINING_PATH:-$root/src/training}"
gaitway="$root/.venv/bin/gaitway"
[ -x "$gaitway" ] || gaitway=gaitway
exec "$gaitway" train --on osmo --payload dataset --yes "$@"
