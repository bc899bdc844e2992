"""Pipeline job of a ship submission: one step a stage, each reading the outputs of the stages before it.

A step copies its run's outputs into its output ``run``. A later step starts when all steps whose output it reads have
succeeded: a failed gate ends the pipeline.
"""

from __future__ import annotations

import re
from typing import Any

from gaitway_runtime.spec.chain import Stage, stages
from gaitway_runtime.spec.job import ShipJob, TrainJob
from gaitway_runtime.spec.types import Json

from ..base import Submission
from .data_assets import NO_DATA, data_of
from .options import TIMEOUTS, ChosenOptions
from .request import (
    command,
    environment,
    environment_of,
    inputs_declared,
    inputs_of,
    placement,
    run_folder,
    seconds,
    tags,
)

PIPELINE_SCHEMA = "https://azuremlschemas.azureedge.net/latest/pipelineJob.schema.json"
RUN = "run"
"""Name of the output that receives a step's run folder."""

_BOUND = re.compile(r"\$\{\{inputs\.(\w+)\}\}(.*)")


def run_of(stage: str) -> str:
    """Return the name of the input that is a stage's run folder; no setting of a job has such a name."""
    return f"{stage}_{RUN}"


def pipeline_job(submission: Submission, chosen: ChosenOptions, code: str) -> dict[str, Json]:
    """Return the job document of a ship submission.

    Args:
        submission: The submission.
        chosen: Its settings.
        code: The code asset, ``azureml:NAME:VERSION``.
    """
    job = submission.job
    assert isinstance(job, ShipJob)
    steps = stages(job, lambda stage, read: f"${{{{inputs.{run_of(read)}}}}}/outputs")
    document: dict[str, Json] = {
        "$schema": PIPELINE_SCHEMA,
        "type": "pipeline",
        "settings": {
            "default_compute": f"azureml:{chosen.compute}" if chosen.compute else "azureml:serverless",
            "continue_on_step_failure": False,
            # Else a step with the same command, code and inputs is not run: it has the outputs of another run.
            "force_rerun": True,
        },
        "jobs": {stage.name: _step(stage, submission, chosen, code) for stage in steps},
        "experiment_name": chosen.experiment,
        "display_name": chosen.display_name,
        "description": f"{job.kind} {job.task}",
        "tags": tags(submission),
    }
    return document


def _step(stage: Stage, submission: Submission, chosen: ChosenOptions, code: str) -> dict[str, Any]:
    """Return the command job of one stage."""
    train = isinstance(stage.job, TrainJob)
    data = data_of(submission) if train else NO_DATA
    values = inputs_of(stage.job)
    bound = {name: found for name, text in values.items() if (found := _BOUND.fullmatch(text))}
    exports = {
        item.info.env[0]: f"${{{{inputs.{bound[item.name][1]}}}}}{bound[item.name][2]}"
        for item in inputs_declared(type(stage.job))
        if item.name in bound
    }
    where = placement(chosen, chosen.options.num_nodes if train else 1, chosen.options.num_gpus if train else 1)
    # All of them are inputs, read or not: a step must not start beside the gate.
    parents = {
        run_of(name): {"type": "uri_folder", "path": f"${{{{parent.jobs.{name}.outputs.{RUN}}}}}"}
        for name in stage.reads
    }
    document = {
        "type": "command",
        "command": command(type(stage.job), data, exports, f"${{{{outputs.{RUN}}}}}"),
        "code": code,
        "environment": environment_of(chosen),
        "inputs": {
            **{name: text for name, text in values.items() if name not in bound},
            **parents,
            **data.inputs,
        },
        "outputs": {RUN: run_folder(submission.context.run_id, stage.name), **data.outputs},
        "environment_variables": environment(stage.job.kind, submission, chosen.options.container_python),
        **where,
        "limits": {"timeout": _seconds(stage, chosen)},
        "display_name": stage.name,
        "description": f"{stage.name} {stage.job.task}",
    }
    document.pop("compute", None)
    return {name: value for name, value in document.items() if value not in (None, {})}


def _seconds(stage: Stage, chosen: ChosenOptions) -> int:
    return seconds(chosen.exec_timeout if isinstance(stage.job, TrainJob) else TIMEOUTS[stage.job.kind])
