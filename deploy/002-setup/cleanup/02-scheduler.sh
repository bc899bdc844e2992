#!/usr/bin/env bash
# Takes away what ../02-scheduler.sh has made; --dry-run prints what it would run.
exec "$(dirname "${BASH_SOURCE[0]}")/../run.sh" scheduler --remove "$@"
