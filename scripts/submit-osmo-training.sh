#!/usr/bin/env bash
# Train on OSMO; the payload travels inside the request while it fits (1 MiB), else as a dataset or an upload.
# Takes the flags of `gaitway train`; --help lists them.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
export TRAINING_PATH="${TRAINING_PATH:-$root/src/training}"
gaitway="$root/.venv/bin/gaitway"
[ -x "$gaitway" ] || gaitway=gaitway
exec "$gaitway" train --on osmo --yes "$@"
