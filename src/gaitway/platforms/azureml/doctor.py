"""Findings of ``gaitway doctor --on azureml``. Read-only; a problem is a finding, never an exception."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.util import find_spec
from urllib.parse import quote

from gaitway_runtime.spec.packages import install_command
from gaitway_runtime.spec.types import object_at

from ...errors import GaitwayError
from ...findings import Finding
from ...settings.values import Setting
from .client import Azure, AzureWorkspace
from .computes import CLUSTER, KUBERNETES
from .options import compute_of
from .request import NEEDED


def findings(settings: Mapping[str, Setting]) -> list[Finding]:
    """Return the findings on compute, storage and model registry, where a workspace and the client are there."""
    unset = [key for key in NEEDED if not (key in settings and settings[key].value)]
    installed = find_spec("azure") is not None and find_spec("azure.ai") is not None
    if unset or not installed:
        missing = [*([f"{', '.join(unset)} not set"] if unset else []), *([] if installed else ["no azure-ai-ml"])]
        fixes = [*(["gaitway config"] if unset else []), *([] if installed else [install_command("azureml")])]
        return [Finding("azureml compute", False, f"not examined: {'; '.join(missing)}", "; ".join(fixes))]
    try:
        azure = Azure(AzureWorkspace.required(settings), pause=lambda seconds: None)
    except GaitwayError as error:
        return [Finding("azureml compute", False, error.message, error.hint or "")]
    checks: dict[str, Callable[[], Finding]] = {
        "azureml compute": lambda: _compute(azure, settings),
        "azureml storage": lambda: _storage(azure),
        "azureml models": lambda: _models(azure),
    }
    return [_found(name, check) for name, check in checks.items()]


def _found(name: str, check: Callable[[], Finding]) -> Finding:
    try:
        return check()
    except GaitwayError as error:
        return Finding(name, False, error.message, error.hint or "")


def _compute(azure: Azure, settings: Mapping[str, Setting]) -> Finding:
    label, setting = "azureml compute", settings["compute"]
    name = compute_of(setting)
    if name is None:
        return Finding(label, True, "serverless", "")
    found = azure.find(f"/computes/{quote(name, safe='')}")
    if found is None:
        return Finding(label, False, f"the workspace has no compute {name}", "--compute NAME, or serverless")
    about = object_at(found, "properties")
    state, kind = str(about.get("provisioningState", "Succeeded")), str(about.get("computeType", ""))
    inner = object_at(about, "properties")
    if state != "Succeeded":
        return Finding(label, False, f"{name}: {kind}, {state}", "see Azure ML Studio")
    if kind == CLUSTER:
        most = object_at(inner, "scaleSettings").get("maxNodeCount")
        said = f"{name}: {kind}, {state}, {inner.get('vmSize')}, {inner.get('vmPriority')}, at most {most} nodes"
        return Finding(label, most != 0, said, f"az ml compute update --name {name} --max-instances 4")
    types = object_at(inner, "instanceTypes")
    wanted = str(settings["instance_type"].value) if "instance_type" in settings else ""
    if kind == KUBERNETES and types and wanted not in types:
        said = f"{name} has no instance type {wanted}; it has {', '.join(types)}"
        return Finding(label, False, said, "--instance-type NAME, or deploy/002-setup/03-azureml.sh")
    return Finding(label, True, f"{name}: {kind}, {state}, instance type {wanted}", "")


def _storage(azure: Azure) -> Finding:
    found = azure.find("/datastores/workspaceblobstore")
    if found is None:
        return Finding("azureml storage", False, "the workspace has no datastore workspaceblobstore", "see Studio")
    about = object_at(found, "properties")
    said = f"{about.get('accountName')}/{about.get('containerName')}"
    return Finding("azureml storage", True, said, "")


def _models(azure: Azure) -> Finding:
    count = len(azure.items("/models", most=5))
    return Finding(
        "azureml models", True, "the registry answers" if count else "the registry answers, and is empty", ""
    )
