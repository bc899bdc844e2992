"""Azure: the identity, and the workspace the settings name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib.util import find_spec

from ..findings import Finding
from ..settings.values import Setting
from . import probe

KEYS = ("azure_subscription_id", "azure_resource_group", "azure_workspace_name")
LOGIN = "az login, or set AZURE_CLIENT_ID, AZURE_TENANT_ID and AZURE_CLIENT_SECRET"


def workspace(settings: Mapping[str, Setting], environ: Mapping[str, str]) -> Iterator[Finding]:
    """Get a token and ask for the workspace, in a process of its own that may take half a minute."""
    unset = [key for key in KEYS if settings[key].value is None]
    if unset:
        fix = "set " + ", ".join(" or ".join(settings[key].ways[:2]) for key in unset)
        yield Finding("azure workspace", False, f"not set: {', '.join(unset)}", fix)
        return
    if find_spec("azure") is None or find_spec("azure.identity") is None:
        yield Finding("azure credential", False, "azure-identity is not installed", "pip install 'gaitway[azureml]'")
        return
    ids = [str(settings[key].value) for key in KEYS]
    well, said = probe.ask("workspace", environ, *ids, timeout=30)
    yield Finding("azure workspace", well, said, "" if well else f"{LOGIN}; then look at the names above")
