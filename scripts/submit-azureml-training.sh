#!/usr/bin/env bash
# Train on Azure ML; the payload is a code asset, uploaded once for the same files.
# Takes the flags of `gaitway train`; --help lists them.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
export TRAINING_PATH="${TRAINING_PATH:-$root/src/training}"
gaitway="$root/.venv/bin/gaitway"
[ -x "$gaitway" ] || gaitway=gaitway
exec "$gaitway" train --on azureml --yes "$@"
