#!/usr/bin/env bash
# Pack src/training and train on OSMO. Takes the flags of `gaitway train`; values for the workflow go after `--`.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
export GAITWAY_TMP_DIR="${GAITWAY_TMP_DIR:-$here/.tmp}"
export GAITWAY_HOME="${GAITWAY_HOME:-$root/.gaitway}"
exec "$root/scripts/submit-osmo-training.sh" "$@"
