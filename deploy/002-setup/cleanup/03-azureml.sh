#!/usr/bin/env bash
# Takes away what ../03-azureml.sh has made; --dry-run prints what it would run.
exec "$(dirname "${BASH_SOURCE[0]}")/../run.sh" azureml --remove "$@"
