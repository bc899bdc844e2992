#!/usr/bin/env bash
# Takes away what ../05-osmo-backend.sh has made; --dry-run prints what it would run.
exec "$(dirname "${BASH_SOURCE[0]}")/../run.sh" osmo-backend --remove "$@"
