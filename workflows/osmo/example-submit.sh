#!/usr/bin/env bash
# An example to copy: put your own values in the places of the five below. None of them is a secret.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
exec "$here/submit-training.sh" \
  --task Isaac-Velocity-Rough-Anymal-C-v0 \
  --max-iterations 600 \
  --register-checkpoint isaaclab-anymal-latest \
  "$@" \
  -- \
  azure_client_id=00000000-0000-0000-0000-000000000000 \
  azure_tenant_id=00000000-0000-0000-0000-000000000000 \
  azure_subscription_id=00000000-0000-0000-0000-000000000000 \
  azure_resource_group=rg-example \
  azure_workspace_name=mlw-example
