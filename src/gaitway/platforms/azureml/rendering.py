"""From a submission to the request, purely: gaitway's own job, or the user's job file with values."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...errors import UsageError
from ..base import Request, Submission
from ..container import to_yaml
from . import checks
from .document import command_job, inputs_of
from .options import Chosen, chosen

NEEDED = ("azure_subscription_id", "azure_resource_group", "azure_workspace_name", "compute")
"""Settings without which a job can be shown and not submitted."""


_PARTS = {
    "compute": "compute",
    "instance_type": "resources",
    "shm_size": "resources",
    "num_nodes": "resources",
    "num_gpus": "distribution",
    "exec_timeout": "limits",
    "priority": "queue_settings",
    "job_tier": "queue_settings",
    "identity": "identity",
    "image": "environment",
    "environment_name": "environment",
    "environment_version": "environment",
    "experiment": "experiment_name",
    "display_name": "display_name",
}
"""Which part of a job file each setting takes the place of."""


def render(submission: Submission) -> Request:
    """Return the request of a submission.

    Raises:
        GaitwayError: Azure ML would refuse it, or accept it and let it die.
    """
    settings = chosen(submission)
    options = settings.options
    checks.check_values(
        image=options.image,
        shm_size=options.shm_size,
        exec_timeout=settings.exec_timeout,
        environment_name=options.environment_name,
    )
    code = f"azureml:{code_name(submission)}:1"
    document, source = command_job(submission, settings, code), "the job"
    if options.workflow_file:
        source = f"--workflow {options.workflow_file}"
        document = _merged(_load(Path(options.workflow_file), source), document, submission)
    checks.check(document, source)
    return Request("azureml", to_yaml(document), _notes(submission, settings))


def code_name(submission: Submission) -> str:
    """Return the name of the code asset with a payload's files: the same files, the same asset."""
    return f"gaitway-{submission.payload.sha256[:24]}"


def _merged(own: Mapping[str, Any], ours: Mapping[str, Any], submission: Submission) -> dict[str, Any]:
    """Return a user's job file with what gaitway has to say: the payload, the job, and what someone chose."""
    inputs = inputs_of(submission.job)
    merged = {
        **own,
        "code": ours["code"],
        "inputs": {name: inputs.get(name, value) for name, value in (own.get("inputs") or {}).items()},
        "environment_variables": {**(own.get("environment_variables") or {}), **ours["environment_variables"]},
        "tags": {**(own.get("tags") or {}), **ours["tags"]},
    }
    for name in ("environment", "compute", "experiment_name", "display_name"):
        if name not in own and name in ours:
            merged[name] = ours[name]
    for key, part in _PARTS.items():
        setting = submission.settings.get(key)
        if setting is not None and setting.origin.layer in ("cli", "env") and part in ours:
            merged[part] = {**own.get(part, {}), **ours[part]} if isinstance(ours[part], dict) else ours[part]
    return merged


def _load(path: Path, source: str) -> dict[str, Any]:
    import yaml

    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"the job file cannot be read: {error}", source=source) from None
    except yaml.YAMLError as error:
        raise UsageError(f"the job file is not YAML: {' '.join(str(error).split())}", source=source) from None
    if not isinstance(found, dict):
        raise UsageError("the job file is not a YAML document with keys", source=source)
    return found


def _notes(submission: Submission, settings: Chosen) -> tuple[str, ...]:
    notes = []
    missing = [key for key in NEEDED if not submission.option(key)]
    if missing:
        notes.append(f"not set, and needed to submit: {', '.join(missing)}")
    compute = submission.settings.get("compute")
    if compute and compute.value and compute.value != settings.compute:
        notes.append(f"the cluster {compute.value} is attached as compute {settings.compute}")
    if settings.options.instance_type == "gpuspot" and submission.job.kind == "train":
        notes.append("gpuspot nodes may be taken away; the training then goes on from its newest checkpoint")
    notes.append(f"the payload is the code asset {code_name(submission)}, uploaded once")
    return tuple(notes)
