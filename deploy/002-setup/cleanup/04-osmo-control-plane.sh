#!/usr/bin/env bash
# Takes away what ../04-osmo-control-plane.sh has made; --dry-run prints what it would run.
exec "$(dirname "${BASH_SOURCE[0]}")/../run.sh" osmo-control-plane --remove "$@"
