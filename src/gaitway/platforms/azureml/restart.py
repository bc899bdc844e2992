"""Restart of a run that has not succeeded, as a new job made from the description of the old one.

The new job of a pipeline has the stages that are left; each reads the folders of the finished stages where those have
written them. A training continues from the newest checkpoint of the job before it.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from pathlib import Path

from gaitway_runtime.spec.chain import READS
from gaitway_runtime.spec.checkpoint_files import is_checkpoint
from gaitway_runtime.spec.result import write_json
from gaitway_runtime.spec.types import Json, JsonObject, object_at

from ...errors import PlatformError, UsageError
from ..base import RunRef, RunStatus
from .client import studio_url
from .download import artifact_paths
from .pipeline import RUN, run_of
from .request import UNSET
from .status import COMMAND, COMPLETED, PIPELINE, STATUSES, AzuremlJob
from .submit import FOLDER, RECORD_FILE, made_all_the_same, new_job_name

_KEPT = (
    *("jobType", "displayName", "description", "tags", "experimentName", "computeId", "settings", "jobs"),
    *("command", "codeId", "environmentId", "environmentVariables", "distribution", "resources", "limits"),
    *("identity", "queueSettings"),
)
"""Properties that a new job takes from the old one as they are."""

_AZURES_OWN = ("Studio", "Tracking")
_AZURES_OUTPUT = "default"
"""Services and output of every job, which Azure ML itself adds."""


def restart(ref: RunRef, run_dir: Path) -> RunRef:
    """Submit what has not succeeded as a new job, and return the run as Azure ML knows it now.

    Raises:
        UsageError: The run has not failed.
        GaitwayError: Azure ML refuses or does not answer.
    """
    job = AzuremlJob(ref, run_dir)
    about = job.properties()
    word = str(about.get("status", ""))
    if STATUSES.get(word) not in (RunStatus.FAILED, RunStatus.CANCELLED):
        raise UsageError(
            f"run '{ref.name}' has not failed: {word.lower()}", source="RUN", hint=f"gaitway status {ref.name}"
        )
    if about.get("jobType") not in (COMMAND, PIPELINE):
        raise UsageError(
            "Azure ML starts only jobs and pipelines again, and this is a sweep",
            source=f"run {ref.name}",
            hint="gaitway sweep train ... submits another",
        )
    properties = _rest_of(job, about) if about.get("jobType") == PIPELINE else _again(job, about)
    name = new_job_name(ref.name)
    try:
        made = job.azure.put(f"/jobs/{name}", {"properties": properties})
    except PlatformError as error:
        made = made_all_the_same(job.azure, name, error)
    write_json({**job.record, "earlier": [*job.earlier, ref.id]}, run_dir / FOLDER / RECORD_FILE)
    return RunRef(ref.name, ref.platform, name, studio_url(made))


def _again(job: AzuremlJob, about: JsonObject) -> dict[str, Json]:
    """Return the properties of a job once more; a training continues from the newest checkpoint."""
    found = _kept(about)
    outputs = {name: value for name, value in object_at(about, "outputs").items() if name != _AZURES_OUTPUT}
    services = {
        name: {key: value for key, value in service.items() if key not in ("endpoint", "status", "errorMessage")}
        for name, service in object_at(about, "services").items()
        if isinstance(service, Mapping) and name not in _AZURES_OWN
    }
    inputs = _resumed(job, object_at(about, "inputs"))
    return {**found, **_without_empty({"inputs": inputs, "outputs": outputs, "services": services})}


def _rest_of(job: AzuremlJob, about: JsonObject) -> dict[str, Json]:
    """Return the properties of a pipeline of the stages that have not succeeded.

    Raises:
        UsageError: All of them have.
        PlatformError: Azure ML does not tell where one has written its files.
    """
    steps, nodes = job.steps(), object_at(about, "jobs")
    done = {name for name, step in steps.items() if step.status() == COMPLETED}
    left = {name: _node(name, object_at(nodes, name), done) for name in nodes if name not in done}
    if not left:
        raise UsageError(f"every stage of run '{job.ref.name}' has succeeded", source="RUN")
    if "train" in left and "train" in steps:
        left["train"]["inputs"] = _resumed(steps["train"], object_at(left["train"], "inputs"))
    return {**_kept(about), "jobs": left}


def _node(name: str, node: JsonObject, done: Container[str]) -> dict[str, Json]:
    """Return a stage for the new pipeline: it reads finished stages by their folders, which lie beside its own.

    Raises:
        PlatformError: Azure ML does not tell where its own is.
    """
    inputs = dict(object_at(node, "inputs"))
    for read in (read for read in READS[name] if read in done):
        own = str(object_at(object_at(node, "outputs"), RUN).get("uri") or "").rstrip("/")
        if not own:
            raise PlatformError(f"Azure ML does not tell where stage {name} writes its files", hint="gaitway ship")
        place = f"{own.rpartition('/')[0]}/{read}"
        inputs[run_of(read)] = {"job_input_type": "uri_folder", "mode": "ReadOnlyMount", "uri": place}
    return {**node, "inputs": inputs}


def _resumed(job: AzuremlJob, inputs: JsonObject) -> JsonObject:
    """Return the inputs with which a training continues from the newest checkpoint of a job, if it has made any."""
    changed = {"checkpoint_uri": f"runs:/{job.ref.id}/checkpoints", "checkpoint_mode": "resume"}
    if not all(name in inputs for name in changed) or not _has_checkpoints(job):
        return inputs
    changed |= {"checkpoint_sha256": UNSET} if "checkpoint_sha256" in inputs else {}
    return {**inputs, **{name: {**object_at(inputs, name), "value": value} for name, value in changed.items()}}


def _has_checkpoints(job: AzuremlJob) -> bool:
    return any(
        path.startswith("checkpoints/") and is_checkpoint(path.rpartition("/")[2]) for path in artifact_paths(job)
    )


def _kept(about: JsonObject) -> dict[str, Json]:
    return _without_empty({name: about.get(name) for name in _KEPT})


def _without_empty(document: JsonObject) -> dict[str, Json]:
    return {name: value for name, value in document.items() if value not in (None, {})}
