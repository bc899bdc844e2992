"""Sweep job of a submission: Azure ML draws the values, starts the trials and ends those that fall behind.

The objective is a metric that the runtime logs to MLflow during the training, under the same name.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from gaitway_runtime.spec.job import TrainJob
from gaitway_runtime.spec.types import Json, JsonObject, object_at

from ...errors import UsageError
from ...settings.resolve import declared
from ...variations import SweepDesign, Variation
from ..base import RunRef, RunStatus, Submission, TrialRun
from .data_assets import data_of
from .options import ChosenOptions
from .request import (
    CHECKPOINTS,
    command,
    environment,
    environment_of,
    inputs_of,
    placement,
    run_folder,
    seconds,
    tags,
)

SWEEP_SCHEMA = "https://azuremlschemas.azureedge.net/latest/sweepJob.schema.json"
OF_TRIAL = ("resources", "distribution")
"""Parts of a job's placement that stand in its trial."""

MOST_WHOLE_NUMBERS = 100
"""Longest range of whole numbers: each is a choice, since Azure ML's own ranges of them begin at 0."""

OVERRIDES = "overrides"
SEED = "seed"

STATES = {"FINISHED": RunStatus.SUCCEEDED, "FAILED": RunStatus.FAILED, "KILLED": RunStatus.CANCELLED}
"""Run status by MLflow's; any other is a run that has not ended."""


def sweep_job(submission: Submission, chosen: ChosenOptions, code: str) -> dict[str, Any]:
    """Return the job document of a sweep.

    Args:
        submission: The submission.
        chosen: Its settings.
        code: The code asset, ``azureml:NAME:VERSION``.

    Raises:
        UsageError: Azure ML has no such range.
    """
    design, job = submission.sweep, submission.job
    assert design is not None
    data = data_of(submission)
    where = placement(chosen, chosen.options.num_nodes, chosen.options.num_gpus)
    varied = _space(design)
    trial = {
        "command": _command(submission, design),
        "code": code,
        "environment": environment_of(chosen),
        "environment_variables": environment(job.kind, submission, chosen.options.container_python),
        **{name: where.pop(name) for name in OF_TRIAL},
    }
    taken = {OVERRIDES, *(name for name in varied)}
    inputs = {name: text for name, text in inputs_of(job).items() if name not in taken}
    inputs |= {"register_checkpoint": "none", "skip_register_checkpoint": "true"}
    document = {
        "$schema": SWEEP_SCHEMA,
        "type": "sweep",
        "trial": {name: value for name, value in trial.items() if value not in (None, {})},
        "inputs": {**inputs, **data.inputs},
        "outputs": {CHECKPOINTS: run_folder(None, CHECKPOINTS), **data.outputs},
        "sampling_algorithm": _sampling(design),
        "search_space": varied,
        "objective": {"goal": design.direction, "primary_metric": design.objective},
        "early_termination": _early_termination(design),
        **where,
        "limits": _limits(design, chosen),
        "experiment_name": chosen.experiment,
        "display_name": chosen.display_name,
        "description": f"sweep {job.task}",
        "tags": tags(submission),
    }
    return {name: value for name, value in document.items() if value not in (None, {})}


def as_command(document: JsonObject) -> dict[str, Json]:
    """Return a sweep job as the command job that each of its trials is, to be checked as one."""
    shared = {name: part for name, part in document.items() if name not in ("trial", "type")}
    return {**shared, **object_at(document, "trial")}


def _command(submission: Submission, design: SweepDesign) -> str:
    """Return the shell lines of a trial: the varied settings come from the search space in place of the inputs."""
    text = command(TrainJob, data_of(submission))
    for name in _space(design):
        text = text.replace(f"${{{{inputs.{name}}}}}", f"${{{{search_space.{name}}}}}")
    fixed = submission.job.overrides
    varied = [
        f"{found.key}=${{{{search_space.{_name(found.key)}}}}}" for found in design.variations if "." in found.key
    ]
    separator = declared([TrainJob])[OVERRIDES].info.separator
    overrides = separator.join((*fixed, *varied)) or "none"
    if any(mark in overrides for mark in "'\n\r\0"):
        raise UsageError(
            "an override holds a quote or a line break, which would end its quotes in the command", source="--set"
        )
    return text.replace(f"${{{{inputs.{OVERRIDES}}}}}", overrides)


def _space(design: SweepDesign) -> dict[str, dict[str, Json]]:
    found = {_name(variation.key): _distribution(variation) for variation in design.variations}
    if len(design.seeds) > 1:
        found[SEED] = {"type": "choice", "values": list(design.seeds)}
    return found


def _name(key: str) -> str:
    """Return a key as the name of an input of Azure ML."""
    return key.replace(".", "_")


def _distribution(variation: Variation) -> dict[str, Json]:
    match variation.kind:
        case "choice":
            return {"type": "choice", "values": list(variation.choices)}
        case "log":
            # Azure ML's ends are those of the exponent: exp(uniform(min, max)).
            return {
                "type": "loguniform",
                "min_value": math.log(variation.low),
                "max_value": math.log(variation.high),
            }
        case "int":
            numbers = range(round(variation.low), round(variation.high) + 1)
            if len(numbers) > MOST_WHOLE_NUMBERS:
                raise UsageError(
                    f"{len(numbers):,} whole numbers are too many choices for Azure ML",
                    source=f"--vary {variation.text}",
                    allowed=f"at most {MOST_WHOLE_NUMBERS}",
                    hint=f"--vary {variation.key}={round(variation.low)},...,{round(variation.high)}",
                )
            return {"type": "choice", "values": list(numbers)}
    return {"type": "uniform", "min_value": variation.low, "max_value": variation.high}


def _sampling(design: SweepDesign) -> dict[str, Json]:
    """Return how values are drawn: every combination where all are wanted, else at random by the seed."""
    combinations = math.prod(len(variation.choices) for variation in design.variations)
    if design.is_grid and design.trials >= combinations:
        return {"type": "grid"}
    return {"type": "random", "seed": design.seeds[0], "rule": "random"}


def _early_termination(design: SweepDesign) -> dict[str, Json]:
    if not design.prune:
        return {}
    return {"type": "median_stopping", "evaluation_interval": 1, "delay_evaluation": 10}


def _limits(design: SweepDesign, chosen: ChosenOptions) -> dict[str, Json]:
    total = design.trials * len(design.seeds)
    at_once = {"max_concurrent_trials": min(design.parallel, total)} if design.parallel else {}
    return {"max_total_trials": total, **at_once, "trial_timeout": seconds(chosen.exec_timeout)}


def list_trials(ref: RunRef, run_dir: Path, design: SweepDesign) -> list[TrialRun]:
    """Return the runs of a sweep: the children of its run in MLflow, with the parameters that the runtime logs there.

    Raises:
        GaitwayError: The tracking server does not answer.
    """
    from gaitway_runtime.spec.job_document import load
    from gaitway_runtime.stores.streams import StreamLimits
    from gaitway_runtime.stores.tracking_server import TrackingServer

    from .status import AzuremlJob

    _, context = load(run_dir / "job.json")
    server, job = TrackingServer.of(context, StreamLimits(attempts=3)), AzuremlJob(ref, run_dir)
    client = server.client
    known = server.ask(lambda: client.get_experiment_by_name(job.experiment), job.experiment, missing=lambda: None)
    if known is None:
        return []
    condition = f"tags.`mlflow.parentRunId` = '{ref.id}'"
    runs = server.ask(
        lambda: client.search_runs([known.experiment_id], condition, 1, 1000, ["attributes.start_time ASC"]),
        job.experiment,
    )
    return [trial_run(run, design) for run in runs]


def trial_run(run: Any, design: SweepDesign) -> TrialRun:
    """Return a trial from its MLflow run."""
    params: Mapping[str, str] = run.data.params
    given = dict(text.split("=", 1) for text in _listed(params.get(OVERRIDES, "")) if "=" in text)
    values = {key: given.get(key, params.get(key, "")) for key in (variation.key for variation in design.variations)}
    return TrialRun(
        name=str(run.info.run_id),
        status=STATES.get(str(run.info.status), RunStatus.RUNNING),
        values=values,
        metrics={name: float(value) for name, value in run.data.metrics.items()},
    )


def _listed(text: str) -> tuple[str, ...]:
    """Return the texts of a parameter that is a tuple of them."""
    with suppress(ValueError, SyntaxError):
        found = ast.literal_eval(text)
        return tuple(map(str, found)) if isinstance(found, tuple) else ()
    return ()
