#!/usr/bin/env bash
# One step of the cluster's set-up; --dry-run prints what it would run, --help lists the options.
exec "$(dirname "${BASH_SOURCE[0]}")/run.sh" scheduler "$@"
