"""Workflow document of a submission: its tasks, their files, environment, inputs and outputs.

Nothing a user writes is rendered by OSMO: the job travels as a mounted JSON document, the entry script and the
payload as base64 files. What is left between double braces are OSMO's own tokens, which both of its rounds of
rendering keep. A ship job becomes one task a stage; each reads the outputs of those before it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib import resources
from typing import Any

from gaitway_runtime.spec.chain import Stage, stages
from gaitway_runtime.spec.files import is_remote
from gaitway_runtime.spec.job import Job, ShipJob, TrainJob
from gaitway_runtime.spec.job_document import to_document
from gaitway_runtime.spec.run_context import RunContext

from ...errors import UsageError
from ...variations import SWEEP
from ..base import Submission
from ..container import CHOOSE_PYTHON, ENVIRONMENT
from . import data
from .handover import INPUTS, OUTPUTS, checkpoint_input, is_handed_over
from .names import STAGE_TASKS, TASKS
from .options import DEFAULTS, TRACKING_PORT, Chosen, reports_to_server, workflow_name
from .payload import MOUNTED, Route, encoded
from .sweep import trial_tasks

FILES = "/tmp/gaitway"
"""Folder of the mounted files in the container."""

OUTPUT = "{{output}}"
CHECKPOINTS = "/osmo/data/output/outputs/checkpoints"
"""Where the runtime writes checkpoints; a path that OSMO watches is no place for a token."""

RESCHEDULE = "130,143,2010,2012,2021-2024,2031,3001,3004,3006"
"""Exit codes after which OSMO starts the task again, as often as ``max_retry_per_task`` allows.

130 and 143: asked to stop, and saved. 2010, 2012 and 2031: inputs or outputs could not be transferred (OSMO repeats a
transfer that hangs; one that fails ends the task with 2031). 2021 to 2024: the service or the group did not answer.
3001: the node was lost, as a spot node is. 3004: evicted. 3006: preempted. See OSMO's user guide, "Exit Codes".
"""

RESCHEDULE_GROUP = f"4,134,{RESCHEDULE}"
"""The same of a task in a group of several: it may see that another node is gone before OSMO does.

4: the runtime's own code for it. 134: NCCL ends the process. OSMO starts the task again, and makes the others of its
group start their command again where they are.
"""

CHECKPOINT_EVERY = "5m"
RENDEZVOUS_PORT = 5555

START = f"{CHOOSE_PYTHON}exec ${{PYTHON:-$python}} {FILES}/entry.py\n"
"""Chooses the interpreter; short enough to be read in the workflow."""


HANDED_ON = f"{OUTPUT}/payload.zip"
"""Copy of a mounted payload among a task's outputs, from which the later tasks of a chain take it."""


@dataclass(frozen=True)
class Parts:
    """Everything that a task is made of."""

    submission: Submission
    chosen: Chosen
    route: Route
    job: Job
    """The job that the task does: the submission's own, or that of a stage of it."""
    reads: tuple[str, ...] = ()
    """Stages whose outputs the task reads, by name."""
    hands_on: bool = False
    """Whether later tasks of the workflow take the payload from this one."""
    trial: str = ""
    """Name of the task, where it is one of a sweep's."""

    @property
    def run_id(self) -> str:
        """Id of the run, unique in the world; each run of a sweep has its own."""
        run_id = self.submission.context.run_id or "{{workflow_id}}"
        return f"{run_id}-{self.trial}" if self.trial else run_id

    @property
    def context(self) -> RunContext:
        """What the job knows of its run."""
        context = self.submission.context
        return replace(context, run=f"{context.run}-{self.trial}", run_id=self.run_id) if self.trial else context

    @property
    def trains(self) -> bool:
        """Whether the task trains."""
        return self.job.kind == "train"

    @property
    def mounted(self) -> bool:
        """Whether the payload is mounted into the task itself."""
        return bool(self.route.file) and not self.reads


def workflow(submission: Submission, chosen: Chosen, route: Route) -> dict[str, Any]:
    """Return the workflow document of a submission."""
    body: dict[str, Any] = {
        "name": workflow_name(chosen.options, SWEEP if submission.sweep else submission.job.kind, route.kind),
        "timeout": {"exec_timeout": chosen.exec_timeout},
        "resources": {"default": _resource(chosen)},
    }
    if chosen.options.queue_timeout:
        body["timeout"]["queue_timeout"] = chosen.options.queue_timeout
    parts = task_parts(submission, chosen, route)
    if isinstance(submission.job, ShipJob):
        body["resources"]["evaluation"] = _evaluation(chosen)
    nodes = chosen.options.num_nodes if parts[0].trains else 1
    if submission.sweep and nodes > 1:
        raise UsageError("a run of a sweep has one node", source="--num-nodes", hint="--num-gpus")
    if nodes == 1:
        body["tasks"] = [_task(each, 0, 1) for each in parts]
    else:
        # A lost worker ends the collective training: all start again together, from the newest checkpoint.
        tasks = [_task(parts[0], rank, nodes) for rank in range(nodes)]
        body["groups"] = [{"name": "training", "ignoreNonleadStatus": False, "tasks": tasks}]
        body["groups"] += [{"name": f"{each.job.kind}-stage", "tasks": [_task(each, 0, 1)]} for each in parts[1:]]
    return {"workflow": body}


def task_parts(submission: Submission, chosen: Chosen, route: Route) -> list[Parts]:
    """Return what the tasks of a submission are made of: one task, one a stage of a ship job, one a run of a sweep."""
    job = submission.job
    if submission.sweep and isinstance(job, TrainJob):
        return [
            Parts(submission, chosen, route, task.job(job), trial=task.name) for task in trial_tasks(submission.sweep)
        ]
    if not isinstance(job, ShipJob):
        return [Parts(submission, chosen, route, job)]

    def outputs_of(stage: str, read: str) -> str:
        # A later task gets a mounted payload from the first one: it has no input of its own for it.
        first = 0 if route.file else len(route.inputs)
        return f"{INPUTS}/{first + order[stage].index(read)}/{OUTPUTS}"

    order = {stage.name: stage.reads for stage in stages(job, lambda stage, read: "")}
    return [_stage_parts(submission, chosen, route, stage) for stage in stages(job, outputs_of)]


def _stage_parts(submission: Submission, chosen: Chosen, route: Route, stage: Stage) -> Parts:
    first = not stage.reads
    return Parts(submission, chosen, route, stage.job, stage.reads, hands_on=first and bool(route.file))


def entry_script() -> str:
    """Return the source of the entry script."""
    return resources.files(__package__).joinpath("entry.py").read_text(encoding="utf-8")


def escape_marks(document: Any) -> str:
    """Return JSON text in which nothing is a template: braces that could open one are escaped."""
    text = json.dumps(document, indent=2, ensure_ascii=True)
    # The brace of an object is followed by a newline or its own end; any other stands in a string.
    return re.sub(r"\{(?=[{%#])", r"\\u007b", text) + "\n"


def _resource(chosen: Chosen) -> dict[str, object]:
    resource: dict[str, object] = {
        "cpu": chosen.cpu,
        "gpu": chosen.options.num_gpus,
        "memory": chosen.memory,
        "storage": chosen.storage,
    }
    if chosen.options.resource_platform:
        resource["platform"] = chosen.options.resource_platform
    if chosen.options.topology:
        resource["topology"] = [{"key": chosen.options.topology, "requirementType": "required"}]
    return resource


def _evaluation(chosen: Chosen) -> dict[str, object]:
    """Return the resource of the stages that do not train: one GPU at most, and none of the training's placement."""
    scale = DEFAULTS["validate"]
    found = {**_resource(chosen), "cpu": scale.cpu, "memory": scale.memory, "storage": scale.storage}
    found.pop("topology", None)
    return {**found, "gpu": min(1, chosen.options.num_gpus)}


def _task(parts: Parts, rank: int, nodes: int) -> dict[str, object]:
    options = parts.chosen.options
    lead = parts.trial or TASKS[parts.job.kind]
    task: dict[str, object] = {"name": lead if rank == 0 else f"worker-{rank}"}
    if nodes > 1 and rank == 0:
        task["lead"] = True
    if parts.reads:
        task["resource"] = "evaluation"
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
    return task | {"exitActions": {"RESCHEDULE": RESCHEDULE_GROUP if nodes > 1 else RESCHEDULE}}


def _environment(parts: Parts, rank: int, nodes: int) -> dict[str, str]:
    options, route = parts.chosen.options, parts.route
    found = {
        **ENVIRONMENT,
        "PAYLOAD": "{{input:0}}/payload.zip" if route.file and parts.reads else route.source,
        "PAYLOAD_ROOT": options.payload_root,
        "PAYLOAD_LINK": route.link,
        "PAYLOAD_COPY": HANDED_ON if parts.hands_on else "",
        "RUN_DIR": OUTPUT,
        "JOB_FILE": f"{FILES}/job.json",
        "ATTEMPT_OF": parts.run_id,
        "RUN_ID": parts.run_id,
        "KEEP_AT": run_folder(str(options.storage_uri), parts.run_id) if options.storage_uri else "",
        "RESUME_DIR": f"{{{{input:{_input_index(parts, 'resume')}}}}}" if _keeps_checkpoints(parts) else "",
        "PYTHON": options.container_python or "",
        "MLFLOW_TRACKING_URI": str(options.tracking_uri) if is_remote(options.tracking_uri) else "",
        "TRACKING_PORT": str(TRACKING_PORT) if _shows_tracking(parts, rank) else "",
        "AZURE_CLIENT_ID": options.azure_client_id or "",
        "AZURE_TENANT_ID": options.azure_tenant_id or "",
        "NUM_GPUS": str(options.num_gpus) if options.num_gpus != 1 and not parts.reads else "",
    }
    if not parts.reads:
        variables = [name for name, _ in data.input_entries(options)]
        found |= {name: f"{{{{input:{_input_index(parts, name)}}}}}" for name in variables}
        found |= data.output_variables(options, OUTPUT)
    if nodes > 1:
        meeting = f"{{{{host:{TASKS['train']}}}}}:{RENDEZVOUS_PORT}"
        found |= {"NUM_NODES": str(nodes), "NODE_RANK": str(rank), "RENDEZVOUS": meeting}
    return {name: value for name, value in found.items() if value}


def _files(parts: Parts) -> list[dict[str, object]]:
    files: list[dict[str, object]] = [
        {"path": f"{FILES}/job.json", "contents": escape_marks(to_document(_job(parts), parts.context))},
        {"path": f"{FILES}/entry.py", "base64": True, "contents": encoded(entry_script().encode())},
    ]
    if parts.mounted:
        files.append({"path": MOUNTED, "base64": True, "localpath": parts.route.file})
    return files


def _shows_tracking(parts: Parts, rank: int) -> bool:
    options = parts.chosen.options
    return options.with_tracking and parts.trains and rank == 0 and not reports_to_server(parts.submission, options)


def _keeps_checkpoints(parts: Parts) -> bool:
    return parts.trains and bool(parts.chosen.options.storage_uri)


def _data(parts: Parts, rank: int) -> dict[str, object]:
    """Inputs, outputs and watched checkpoints: what OSMO moves to and from object storage."""
    inputs = [entry for _, entry in _inputs(parts)]
    found: dict[str, object] = {}
    outputs = data.output_entries(parts.chosen.options) if rank == 0 and not parts.reads else []
    if parts.chosen.options.storage_uri and rank == 0:
        base = run_folder(parts.chosen.options.storage_uri, parts.run_id)
        if _keeps_checkpoints(parts):
            found["checkpoint"] = [{"path": CHECKPOINTS, "url": base, "frequency": CHECKPOINT_EVERY}]
        outputs = [{"url": f"{base}/{'files' if not parts.reads else f'files-{parts.job.kind}'}"}, *outputs]
    if outputs:
        found["outputs"] = outputs
    return {"inputs": inputs, **found} if inputs else found


def _inputs(parts: Parts) -> list[tuple[str, Mapping[str, object]]]:
    """Return the inputs of a task by what they are for.

    The payload, the stages before it, a checkpoint to start from, what an earlier attempt has kept.
    """
    found: list[tuple[str, Mapping[str, object]]] = [("payload", entry) for entry in parts.route.inputs]
    found += [(read, {"task": STAGE_TASKS[read]}) for read in parts.reads]
    start = parts.job.checkpoint_uri
    if start and is_handed_over(start):
        found.append(("start", checkpoint_input(start).entry))
    if _keeps_checkpoints(parts):
        base = run_folder(str(parts.chosen.options.storage_uri), parts.run_id)
        found.append(("resume", {"url": f"{base}/checkpoints"}))
    if not parts.reads:
        found += data.input_entries(parts.chosen.options)
    return found


def _input_index(parts: Parts, purpose: str) -> int:
    return [name for name, _ in _inputs(parts)].index(purpose)


def _job(parts: Parts) -> Job:
    """Return the job as the task does it: a checkpoint that OSMO brings is a path there."""
    job = parts.job
    if not job.checkpoint_uri or not is_handed_over(job.checkpoint_uri):
        return job
    place = f"{INPUTS}/{_input_index(parts, 'start')}"
    return replace(job, checkpoint_uri=f"{place}/{checkpoint_input(job.checkpoint_uri).path}".rstrip("/"))


def run_folder(storage_uri: str, run_id: str) -> str:
    """Return where a run keeps its files in object storage.

    Args:
        storage_uri: The storage.
        run_id: Id of the run that is unique in the world: a workflow's id is not, it begins anew with every OSMO.
    """
    return f"{storage_uri.rstrip('/')}/runs/{run_id}"


def credentials(words: tuple[str, ...]) -> dict[str, object]:
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
