#!/usr/bin/env bash
# The one door behind the numbered scripts: gaitway_setup with the project's Python.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
python="${GAITWAY_PYTHON:-$root/.venv/bin/python}"
[ -x "$python" ] || python=python3
export GAITWAY_TERRAFORM_DIR="${GAITWAY_TERRAFORM_DIR:-$root/deploy/001-iac}"
export PYTHONPATH="$here:$root/src:$root/src/training${PYTHONPATH:+:$PYTHONPATH}"
exec "$python" -m gaitway_setup "$@"
