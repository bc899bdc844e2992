"""Request of a submission: the command job as a document.

The job's settings are inputs, so that they can be changed on a clone in Studio; the command passes them to the runtime
as environment variables. Azure ML puts an input's text into the command unquoted, so no value may end its quotes:
:mod:`.checks` refuses those that would.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from gaitway_runtime.spec.job import Job, ShipJob

from ...errors import UsageError
from ...settings.resolve import Declared, declared
from ...variations import SWEEP
from ..base import Request, Submission
from ..container import CHOOSE_PYTHON, ENVIRONMENT, to_yaml
from . import checks, services, template
from .data_assets import DEFAULT_STORE, NO_DATA, DataAssets, data_of
from .options import ATTACHED_PREFIX, PRIORITIES, ChosenOptions, is_default, options_of

SCHEMA = "https://azuremlschemas.azureedge.net/latest/commandJob.schema.json"
UNSET = "none"
"""Text of an input that is not set: the service refuses empty inputs."""

CHECKPOINTS = "checkpoints"
"""Name of the output that receives every checkpoint of a training."""

RUN_DIR = "/tmp/gaitway_run"
TRAINING_KINDS = ("train", "ship")
"""Kinds of jobs that make checkpoints."""

CONTEXT_VARIABLE = "GAITWAY_CONTEXT"
ONLY_GAITWAY = ("contract",)
"""Job settings that name a file on the user's machine."""

LONGEST_TAG = 1000
"""Longest value of a tag that Azure ML takes [characters]."""


def command_job(submission: Submission, chosen: ChosenOptions, code: str) -> dict[str, Any]:
    """Return the job document of a submission.

    Args:
        submission: The submission.
        chosen: Its settings.
        code: The code asset, ``azureml:NAME:VERSION``.
    """
    job, options = submission.job, chosen.options
    data = data_of(submission)
    document = {
        **skeleton(type(job), data, submission.context.run_id),
        "code": code,
        "environment": environment_of(chosen),
        "inputs": {**inputs_of(job), **data.inputs},
        "environment_variables": environment(job.kind, submission, options.container_python),
        **placement(chosen, options.num_nodes if job.kind == "train" else 1, options.num_gpus),
        "services": services.document(options),
        "experiment_name": chosen.experiment,
        "display_name": chosen.display_name,
        "description": f"{job.kind} {job.task}",
        "tags": tags(submission),
    }
    return {name: value for name, value in document.items() if value not in (None, {})}


def skeleton(job: type[Job], data: DataAssets = NO_DATA, run_id: str | None = None) -> dict[str, object]:
    """Return the parts that every job of a kind has: command and outputs."""
    checkpoints = {CHECKPOINTS: run_folder(run_id, CHECKPOINTS)} if job.kind in TRAINING_KINDS else {}
    return {
        "$schema": SCHEMA,
        "type": "command",
        "command": command(job, data),
        "outputs": {**checkpoints, **data.outputs},
    }


def run_folder(run_id: str | None, name: str) -> dict[str, str]:
    """Return an output of a run that all attempts at it share, evicted and restarted ones; without an id a job's own.

    It is mounted and not uploaded at the end: what is in it survives an eviction, and files in it are replaced, which
    a job's artifacts cannot be.
    """
    place = {"path": f"{DEFAULT_STORE}gaitway/{run_id}/{name}"} if run_id else {}
    return {"type": "uri_folder", "mode": "rw_mount", **place}


def command(
    job: type[Job], data: DataAssets = NO_DATA, bound: Mapping[str, str] | None = None, kept_in: str | None = None
) -> str:
    """Return the shell lines of a job: every input as an environment variable, then the start of the runtime.

    Args:
        job: The kind of job.
        data: Data by flag.
        bound: Variables whose values are paths of other steps' outputs, in place of inputs.
        kept_in: Output that gets a copy of the run's outputs, of checkpoints as they are made. The job does not work
            there: it is a mount of blob storage, which keeps a file when it is closed and has neither locks nor links.
    """
    known = bound or {}
    lines = [
        f"export {item.info.env[0]}='${{{{inputs.{item.name}}}}}'"
        for item in inputs_declared(job)
        if item.info.env[0] not in known
    ]
    lines += [f'export {variable}="{path}"' for variable, path in known.items()]
    if kept_in:
        lines.append(f'export OUTPUT_COPY="{kept_in}/outputs"')
    if kept_in and job.kind in TRAINING_KINDS:
        lines.append('export CHECKPOINT_OUTPUT="$OUTPUT_COPY/checkpoints"')
    elif job.kind in TRAINING_KINDS:
        # Not in environment_variables, where the service expands nothing.
        lines.append(f'export CHECKPOINT_OUTPUT="${{{{outputs.{CHECKPOINTS}}}}}"')
    lines += [f'export {variable}="${{{{{mark}}}}}"' for variable, mark in data.variables.items()]
    lines.append('export PYTHONPATH="$PWD${PYTHONPATH:+:$PYTHONPATH}"')
    return CHOOSE_PYTHON + "\n".join(lines) + "\nexec ${PYTHON:-$python} -m gaitway_runtime.container\n"


def environment_of(chosen: ChosenOptions) -> str:
    """Return the environment that a job names."""
    options = chosen.options
    return options.environment or f"azureml:{options.environment_name}:{chosen.environment_version}"


def inputs_declared(job: type[Job]) -> list[Declared]:
    """Return the job settings that are inputs."""
    return [item for item in declared([job]).values() if item.info.env and item.name not in ONLY_GAITWAY]


def inputs_of(job: Job) -> dict[str, str]:
    """Return the inputs of a job."""
    return {item.name: input_text(item, getattr(job, item.name)) for item in inputs_declared(type(job))}


def input_text(item: Declared, value: Any) -> str:
    """Return a value as the text of an input."""
    if value is None or value == ():
        return UNSET
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return item.info.separator.join(map(str, value))
    return str(value)


def environment(kind: str, submission: Submission | None, python: str | None) -> dict[str, str]:
    """Return the environment variables of a job; without a submission, those of a published job file."""
    found = {**ENVIRONMENT, "JOB_KIND": kind, "GAITWAY_PLATFORM": "azureml", "RUN_DIR": RUN_DIR}
    if submission:
        # A contract's file travels with the payload: only gaitway can ship it, so its name is no input.
        context = {**asdict(submission.context), "tags": dict(submission.context.tags)}
        found[CONTEXT_VARIABLE] = json.dumps(context, sort_keys=True)
        found |= {"POLICY_CONTRACT": submission.job.contract} if submission.job.contract else {}
    return found | ({"PYTHON": python} if python else {})


def placement(chosen: ChosenOptions, nodes: int, gpus: int) -> dict[str, Any]:
    """Return the compute, resources, distribution, queue settings, limits and identity of a job."""
    options = chosen.options
    resources: dict[str, object] = {"instance_count": nodes, "shm_size": options.shm_size}
    if chosen.instance_type:
        resources["instance_type"] = chosen.instance_type
    queue = {"job_tier": options.job_tier, "priority": PRIORITIES.get(options.priority or "")}
    several = nodes > 1 or gpus > 1
    return {
        "compute": f"azureml:{chosen.compute}" if chosen.compute else None,
        "resources": resources,
        "distribution": {"type": "pytorch", "process_count_per_instance": max(gpus, 1)} if several else {},
        "queue_settings": {name: value for name, value in queue.items() if value},
        "limits": {"timeout": seconds(chosen.exec_timeout)},
        "identity": {"type": chosen.identity},
    }


def seconds(time: str) -> int:
    """Return a time such as ``7d`` or ``90m`` in seconds; :mod:`.checks` has checked its format."""
    return int(time[:-1]) * {"s": 1, "m": 60, "h": 3600, "d": 86400}[time[-1]]


def tags(submission: Submission) -> dict[str, str]:
    """Return the job's tags, by which its run is found; where the run comes from the runtime itself tells."""
    found = {
        "gaitway.run": submission.run,
        "gaitway.run_id": submission.context.run_id,
        "gaitway.kind": SWEEP if submission.sweep else submission.job.kind,
        "task": submission.job.task,
    }
    return {name: value[:LONGEST_TAG] for name, value in found.items()}


NEEDED = ("azure_subscription_id", "azure_resource_group", "azure_workspace_name")
"""Settings that a submission needs; a dry run does not."""


def render(submission: Submission) -> Request:
    """Return the request of a submission.

    Raises:
        GaitwayError: Azure ML would refuse the job, or start it and let it fail.
    """
    settings = options_of(submission)
    checks.check_options(submission, settings)
    code = f"azureml:{code_name(submission)}:1"
    as_checked = None
    if submission.sweep:
        from .sweep import as_command, sweep_job

        if settings.options.workflow_file:
            raise UsageError("sweep makes a job of its own", source="--workflow", hint="train takes a job file")
        document, source = sweep_job(submission, settings, code), "the sweep"
        as_checked = as_command(document)
    elif isinstance(submission.job, ShipJob):
        from .pipeline import pipeline_job

        if settings.options.workflow_file:
            raise UsageError("ship makes a pipeline of its own", source="--workflow", hint="train takes a job file")
        document, source = pipeline_job(submission, settings, code), "the pipeline"
    else:
        document, source = command_job(submission, settings, code), "the job"
    notes = _notes(submission, settings)
    if settings.options.workflow_file:
        path = Path(settings.options.workflow_file)
        source = f"--workflow {path}"
        merge = template.merged(template.load_job_file(path, source), document, submission, path.name)
        document, notes = merge.document, (*notes, *merge.notes)
    checks.check_document(as_checked or document, source)
    experiment = str(document.get("experiment_name") or settings.experiment)
    return Request("azureml", to_yaml(document), notes, {"experiment": experiment})


def code_name(submission: Submission) -> str:
    """Return the name of the payload's code asset: the same files have the same name."""
    return f"gaitway-{submission.payload.sha256[:24]}"


def _notes(submission: Submission, settings: ChosenOptions) -> tuple[str, ...]:
    notes = []
    missing = [key for key in NEEDED if not submission.option(key)]
    if missing:
        notes.append(f"not set, and needed to submit: {', '.join(missing)}")
    compute = submission.settings.get("compute")
    if settings.compute is None:
        tier = settings.options.job_tier or "Standard"
        notes.append(f"serverless compute: {settings.instance_type}, tier {tier}, identity {settings.identity}")
    elif compute and compute.value != settings.compute:
        notes.append(f"cluster {compute.value} is attached as compute {settings.compute}")
    attached = (settings.compute or "").startswith(ATTACHED_PREFIX)
    if settings.compute and not attached and is_default(submission, "instance_type") and settings.instance_type:
        notes.append(
            f"{settings.instance_type} is for a Kubernetes compute; a compute cluster of Azure ML goes without"
        )
    if _may_be_evicted(submission, settings):
        notes.append("spot nodes may be evicted; the training then continues from its newest checkpoint")
    notes.append(f"the payload is the code asset {code_name(submission)}, uploaded once")
    return tuple(notes)


def _may_be_evicted(submission: Submission, settings: ChosenOptions) -> bool:
    spot = settings.options.job_tier == "Spot" or settings.instance_type == "gpuspot"
    return spot and submission.job.kind in TRAINING_KINDS
