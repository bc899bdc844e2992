"""What ``gaitway doctor --on azureml`` looks at. Read-only; nothing here raises for what it finds."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec

from ...errors import GaitwayError
from ...findings import Finding
from ...settings.values import Setting
from .client import Azure, Workspace
from .options import attached_name
from .rendering import NEEDED


def look(settings: Mapping[str, Setting]) -> list[Finding]:
    """Return the findings; the compute is looked at where a workspace is named and there is a client."""
    unset = [key for key in NEEDED if not (key in settings and settings[key].value)]
    if unset or find_spec("azure") is None or find_spec("azure.ai") is None:
        said = f"not looked at: {', '.join(unset)} not set" if unset else "not looked at: azure-ai-ml is not installed"
        return [Finding("azureml compute", False, said, "gaitway config; pip install 'gaitway[azureml]'")]
    setting = settings["compute"]
    name = attached_name(setting.value) if setting.origin.layer == "terraform" else str(setting.value)
    try:
        found = Azure(Workspace.of(settings), pause=lambda seconds: None).find(f"/computes/{name}")
    except GaitwayError as error:
        return [Finding("azureml compute", False, error.message, error.hint or "")]
    if found is None:
        return [Finding("azureml compute", False, f"the workspace has no compute {name}", "--compute NAME")]
    state = str(found["properties"].get("provisioningState", "Succeeded"))
    kind = found["properties"].get("computeType", "")
    return [Finding("azureml compute", state == "Succeeded", f"{name}: {kind}, {state}", "see Azure ML Studio")]
