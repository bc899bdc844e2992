#!/usr/bin/env bash
# Validate a registered model on Azure ML; its name is derived from the task, its version is the latest.
# Takes the flags of `gaitway validate`; --help lists them.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
export TRAINING_PATH="${TRAINING_PATH:-$root/src/training}"
gaitway="$root/.venv/bin/gaitway"
[ -x "$gaitway" ] || gaitway=gaitway
exec "$gaitway" validate --on azureml --yes "$@"
