"""The command job that gaitway submits, as data.

What a user may want to change on a clone in Studio are inputs; the command hands them to the runtime as environment
variables. Azure ML puts an input's text into the command as it is, so no value may end its quotes: :mod:`.checks`
refuses those that would.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from gaitway_runtime.job import Job

from ...settings.fields import Declared, declared
from ..base import Submission
from ..container import CHOOSE_PYTHON, ENVIRONMENT
from .options import PRIORITIES, Chosen

SCHEMA = "https://azuremlschemas.azureedge.net/latest/commandJob.schema.json"
UNSET = "none"
"""Stands for a value that is not set: the service refuses empty inputs."""

CHECKPOINTS = "checkpoints"
"""Name of the output that gets every checkpoint of a training."""

RUN_DIR = "/tmp/gaitway_run"
CONTEXT_VARIABLE = "GAITWAY_CONTEXT"
ONLY_GAITWAY = ("contract",)
"""Job settings that name a file on the user's machine."""

MOST_TAGS = 50
LONGEST_TAG = 256
"""Azure's limits for tags."""


def command_job(submission: Submission, chosen: Chosen, code: str) -> dict[str, Any]:
    """Return the job document of a submission.

    Args:
        submission: What was asked.
        chosen: What its settings come to.
        code: The code asset, ``azureml:NAME:VERSION``.
    """
    job, options = submission.job, chosen.options
    document = {
        **skeleton(type(job)),
        "code": code,
        "environment": f"azureml:{options.environment_name}:{chosen.environment_version}",
        "inputs": inputs_of(job),
        "environment_variables": environment(job.kind, submission, options.container_python),
        **placement(chosen, options.num_nodes if job.kind == "train" else 1),
        "experiment_name": chosen.experiment,
        "display_name": chosen.display_name,
        "description": f"{job.kind} {job.task}",
        "tags": tags(submission),
    }
    return {name: value for name, value in document.items() if value not in (None, {})}


def skeleton(job: type[Job]) -> dict[str, Any]:
    """Return what every job of a kind begins with: its command and its outputs."""
    train = job.kind == "train"
    return {
        "$schema": SCHEMA,
        "type": "command",
        "command": command(job),
        "outputs": {CHECKPOINTS: {"type": "uri_folder", "mode": "upload"}} if train else {},
    }


def command(job: type[Job]) -> str:
    """Return the shell lines of a job: every input as an environment variable, then the runtime."""
    lines = [f"export {item.info.env[0]}='${{{{inputs.{item.name}}}}}'" for item in inputs_declared(job)]
    if job.kind == "train":
        # Not in environment_variables, where the service expands nothing.
        lines.append(f'export CHECKPOINT_OUTPUT="${{{{outputs.{CHECKPOINTS}}}}}"')
    lines.append('export PYTHONPATH="$PWD${PYTHONPATH:+:$PYTHONPATH}"')
    return CHOOSE_PYTHON + "\n".join(lines) + "\nexec ${PYTHON:-$python} -m gaitway_runtime.container\n"


def inputs_declared(job: type[Job]) -> list[Declared]:
    """Return the job settings that are inputs."""
    return [item for item in declared([job]).values() if item.info.env and item.name not in ONLY_GAITWAY]


def inputs_of(job: Job) -> dict[str, str]:
    """Return the inputs of a job."""
    return {item.name: input_text(item, getattr(job, item.name)) for item in inputs_declared(type(job))}


def input_text(item: Declared, value: Any) -> str:
    """Return a value as an input's text."""
    if value is None or value == ():
        return UNSET
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return item.info.separator.join(map(str, value))
    return str(value)


def environment(kind: str, submission: Submission | None, python: str | None) -> dict[str, str]:
    """Return the environment of a job; without a submission, that of a job file for use by hand."""
    found = {**ENVIRONMENT, "JOB_KIND": kind, "GAITWAY_PLATFORM": "azureml", "RUN_DIR": RUN_DIR}
    if submission:
        # A contract's file travels with the payload: only gaitway can ship it, so its name is no input.
        context = {**asdict(submission.context), "tags": dict(submission.context.tags)}
        found[CONTEXT_VARIABLE] = json.dumps(context, sort_keys=True)
        found |= {"POLICY_CONTRACT": submission.job.contract} if submission.job.contract else {}
    return found | ({"PYTHON": python} if python else {})


def placement(chosen: Chosen, nodes: int) -> dict[str, Any]:
    """Return where and with what a job runs."""
    options = chosen.options
    resources: dict[str, Any] = {"instance_count": nodes, "shm_size": options.shm_size}
    if options.instance_type:
        resources["instance_type"] = options.instance_type
    queue = {"job_tier": options.job_tier, "priority": PRIORITIES.get(options.priority or "")}
    several = nodes > 1 or options.num_gpus > 1
    return {
        "compute": f"azureml:{chosen.compute}" if chosen.compute else None,
        "resources": resources,
        "distribution": {"type": "pytorch", "process_count_per_instance": max(options.num_gpus, 1)} if several else {},
        "queue_settings": {name: value for name, value in queue.items() if value},
        "limits": {"timeout": seconds(chosen.exec_timeout)},
        "identity": {"type": options.identity},
    }


def seconds(time: str) -> int:
    """Return a time such as ``7d`` or ``90m`` in seconds; :mod:`.checks` has looked at its form."""
    return int(time[:-1]) * {"s": 1, "m": 60, "h": 3600, "d": 86400}[time[-1]]


def tags(submission: Submission) -> dict[str, str]:
    """Return the job's tags: what it is, and where it comes from as far as Azure's limits let it be told."""
    own = {"gaitway.run": submission.run, "gaitway.kind": submission.job.kind, "task": submission.job.task}
    every = {**own, **submission.context.tags}
    return {name: _short(value) for name, value in list(every.items())[:MOST_TAGS]}


def _short(text: str) -> str:
    return text if len(text) <= LONGEST_TAG else f"{text[: LONGEST_TAG - 3]}..."
