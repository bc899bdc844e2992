"""The workflow that gaitway submits, as data.

Nothing a user writes is rendered by OSMO: the job travels as a mounted JSON document, the entry script and the
payload as base64 files. What is left between double braces are OSMO's own tokens, which both of its rounds of
rendering keep.
"""

from __future__ import annotations

import base64
import json
import re
from dataclasses import dataclass
from importlib import resources
from typing import Any

from gaitway_runtime.job import to_document
from gaitway_runtime.tracking.store import is_remote

from ...errors import UsageError
from ..base import Submission
from ..container import CHOOSE_PYTHON, ENVIRONMENT
from .delivery import Route
from .options import Chosen, workflow_name

FILES = "/tmp/gaitway"
"""Folder of the mounted files in the container."""

OUTPUT = "{{output}}"
CHECKPOINTS = "/osmo/data/output/outputs/checkpoints"
"""Where the runtime writes checkpoints; a path that OSMO watches is no place for a token."""

RESCHEDULE = "130,143,3004,3006"
"""Exit codes after which OSMO starts the task again: asked to stop and saved, evicted, preempted."""

CHECKPOINT_EVERY = "5m"
RENDEZVOUS_PORT = 5555
LEAD_TASK = {
    "train": "isaac-training",
    "validate": "isaac-validation",
    "infer": "isaac-inference",
    "dump-contract": "isaac-contract",
}

START = f"{CHOOSE_PYTHON}exec ${{PYTHON:-$python}} {FILES}/entry.py\n"
"""Chooses the interpreter; short enough to be read in the workflow."""


@dataclass(frozen=True)
class Parts:
    """What a workflow is made of."""

    submission: Submission
    chosen: Chosen
    route: Route


def workflow(parts: Parts) -> dict[str, Any]:
    """Return the workflow document of a submission."""
    chosen, job = parts.chosen, parts.submission.job
    body: dict[str, Any] = {
        "name": workflow_name(chosen.options, job.kind, parts.route.kind),
        "timeout": {"exec_timeout": chosen.exec_timeout},
        "resources": {"default": _resource(chosen)},
    }
    nodes = chosen.options.num_nodes if job.kind == "train" else 1
    if nodes == 1:
        body["tasks"] = [_task(parts, 0, 1)]
    else:
        # A lost worker ends the collective training: all start again together, from the newest checkpoint.
        tasks = [_task(parts, rank, nodes) for rank in range(nodes)]
        body["groups"] = [{"name": "training", "ignoreNonleadStatus": False, "tasks": tasks}]
    return {"workflow": body}


def entry_script() -> str:
    """Return the source of the entry script."""
    return resources.files(__package__).joinpath("entry.py").read_text(encoding="utf-8")


def encoded(content: bytes) -> str:
    """Return bytes as the ``contents`` of a ``base64: true`` file."""
    return base64.b64encode(content).decode("ascii")


def inert(document: Any) -> str:
    """Return JSON text in which nothing is a template: braces that could open one are escaped."""
    text = json.dumps(document, indent=2, ensure_ascii=True)
    # The brace of an object is followed by a newline or its own end; any other stands in a string.
    return re.sub(r"\{(?=[{%#])", r"\\u007b", text) + "\n"


def _resource(chosen: Chosen) -> dict[str, Any]:
    resource: dict[str, Any] = {
        "cpu": chosen.cpu,
        "gpu": chosen.options.num_gpus,
        "memory": chosen.memory,
        "storage": chosen.storage,
    }
    if chosen.options.resource_platform:
        resource["platform"] = chosen.options.resource_platform
    return resource


def _task(parts: Parts, rank: int, nodes: int) -> dict[str, Any]:
    job, options = parts.submission.job, parts.chosen.options
    lead = LEAD_TASK[job.kind]
    task: dict[str, Any] = {"name": lead if rank == 0 else f"worker-{rank}"}
    if nodes > 1 and rank == 0:
        task["lead"] = True
    task |= {
        "image": options.image,
        "command": ["/bin/bash", "-c"],
        "args": [START],
        "environment": _environment(parts, rank, nodes),
        "files": _files(parts),
    }
    if options.credentials:
        task["credentials"] = credentials(options.credentials)
    task |= _data(parts, rank)
    if job.kind == "train":
        task["exitActions"] = {"RESCHEDULE": RESCHEDULE}
    return task


def _environment(parts: Parts, rank: int, nodes: int) -> dict[str, str]:
    options, route = parts.chosen.options, parts.route
    found = {
        **ENVIRONMENT,
        "PAYLOAD": route.source,
        "PAYLOAD_ROOT": options.payload_root,
        "PAYLOAD_LINK": route.link,
        "RUN_DIR": OUTPUT,
        "JOB_FILE": f"{FILES}/job.json",
        "ATTEMPT_OF": "{{workflow_id}}",
        "RESUME_DIR": f"{{{{input:{len(route.inputs)}}}}}" if _keeps_checkpoints(parts) else "",
        "PYTHON": options.container_python or "",
        "MLFLOW_TRACKING_URI": str(options.tracking_uri) if is_remote(options.tracking_uri) else "",
        "AZURE_CLIENT_ID": options.azure_client_id or "",
        "AZURE_TENANT_ID": options.azure_tenant_id or "",
        "NUM_GPUS": str(options.num_gpus) if options.num_gpus != 1 else "",
    }
    if nodes > 1:
        meeting = f"{{{{host:{LEAD_TASK['train']}}}}}:{RENDEZVOUS_PORT}"
        found |= {"NUM_NODES": str(nodes), "NODE_RANK": str(rank), "RENDEZVOUS": meeting}
    return {name: value for name, value in found.items() if value}


def _files(parts: Parts) -> list[dict[str, Any]]:
    files: list[dict[str, Any]] = [
        {"path": f"{FILES}/job.json", "contents": inert(to_document(parts.submission.job, parts.submission.context))},
        {"path": f"{FILES}/entry.py", "base64": True, "contents": encoded(entry_script().encode())},
    ]
    if parts.route.file:
        files.append({"path": parts.route.source, "base64": True, "localpath": parts.route.file})
    return files


def _keeps_checkpoints(parts: Parts) -> bool:
    return parts.submission.job.kind == "train" and bool(parts.chosen.options.storage_uri)


def _data(parts: Parts, rank: int) -> dict[str, Any]:
    """Inputs, outputs and watched checkpoints: what OSMO moves to and from object storage."""
    inputs = list(parts.route.inputs)
    data: dict[str, Any] = {}
    if parts.chosen.options.storage_uri:
        base = run_folder(parts.chosen.options.storage_uri, "{{workflow_id}}")
        if _keeps_checkpoints(parts):
            inputs.append({"url": f"{base}/checkpoints"})
            if rank == 0:
                data["checkpoint"] = [{"path": CHECKPOINTS, "url": base, "frequency": CHECKPOINT_EVERY}]
        if rank == 0:
            data["outputs"] = [{"url": f"{base}/files"}]
    return {"inputs": inputs, **data} if inputs else data


def run_folder(storage_uri: str, workflow_id: str) -> str:
    """Return where a workflow keeps its files in object storage."""
    return f"{storage_uri.rstrip('/')}/runs/{workflow_id}"


def credentials(words: tuple[str, ...]) -> dict[str, Any]:
    """Return the ``credentials`` of a task from ``NAME:VARIABLE=KEY`` and ``NAME:/FOLDER``.

    Raises:
        UsageError: A word has another form.
    """
    found: dict[str, Any] = {}
    for word in words:
        name, _, where = word.partition(":")
        variable, equals, key = where.partition("=")
        if name and where.startswith("/"):
            found[name] = where
        elif name and variable and equals and key and isinstance(found.get(name, {}), dict):
            found.setdefault(name, {})[variable] = key
        else:
            raise UsageError(
                f"'{word}' does not say which credential goes where",
                source="--credential",
                allowed="NAME:VARIABLE=KEY or NAME:/FOLDER",
                hint="osmo credential list",
            )
    return found
