"""Can the Azure ML workspace be reached with the identity at hand? Prints ``{"ok", "message"}``.

``python -m gaitway_runtime.probes.workspace SUBSCRIPTION RESOURCE_GROUP WORKSPACE``
"""

from __future__ import annotations

import json
import sys

from ..spec.errors import GaitwayError
from ..spec.run_context import AzureContext
from ..stores.azure import workspace_tracking_uri


def main() -> None:
    """Ask for the workspace named by the arguments."""
    subscription, group, name = sys.argv[1:4]
    try:
        workspace_tracking_uri(AzureContext(subscription_id=subscription, resource_group=group, workspace_name=name))
        ok, message = True, f"workspace {name} can be reached"
    except GaitwayError as error:
        ok, message = False, error.message
    print(json.dumps({"ok": ok, "message": message}))


if __name__ == "__main__":
    main()
