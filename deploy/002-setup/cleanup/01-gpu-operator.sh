#!/usr/bin/env bash
# Takes away what ../01-gpu-operator.sh has made; --dry-run prints what it would run.
exec "$(dirname "${BASH_SOURCE[0]}")/../run.sh" gpu-operator --remove "$@"
