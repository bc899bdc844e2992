"""Stages of a ship job: train, gate, infer, register, each a job of its own. Standard library only.

A platform that has workflows of dependent tasks submits one task a stage; elsewhere ``gaitway_runtime.jobs.ship``
runs the stages one after the other.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from .job import InferJob, Job, RegisterJob, ShipJob, TrainJob, ValidateJob
from .result import Result
from .settings import settings_of

STAGES = ("train", "gate", "infer", "register")
"""Names of the stages, in their order."""

READS = {"train": (), "gate": ("train",), "infer": ("train", "gate"), "register": ("train", "gate", "infer")}
"""Stages whose outputs a stage reads, by its name. It starts when all of them have succeeded."""

OutputsOf = Callable[[str, str], str]
"""``(stage, read)`` to the output folder of stage ``read`` as a path or URI that ``stage`` can open."""


@dataclass(frozen=True)
class Stage:
    """One stage of a ship job."""

    name: str
    job: Job
    reads: tuple[str, ...]
    """Names of the stages whose outputs it reads."""


def stages(job: ShipJob, outputs_of: OutputsOf) -> tuple[Stage, ...]:
    """Return the stages of a ship job, in their order.

    Args:
        job: The ship job.
        outputs_of: Says where a stage finds the outputs of an earlier one on the platform at hand.
    """

    def trained(stage: str) -> str:
        return f"{outputs_of(stage, 'train')}/checkpoints"

    jobs: dict[str, Job] = {
        "train": _derived(TrainJob, job, gate=False, skip_register_checkpoint=True),
        "gate": _derived(ValidateJob, job, **_after("gate", trained)),
        "infer": _derived(InferJob, job, **_after("infer", trained)),
        "register": _derived(
            RegisterJob,
            job,
            **_after("register", trained),
            verdict_from=outputs_of("register", "gate"),
            exports_from=outputs_of("register", "infer"),
        ),
    }
    wanted = [name for name in STAGES if not (name == "register" and job.skip_register_checkpoint)]
    return tuple(Stage(name, jobs[name], READS[name]) for name in wanted)


def job_of(found: Mapping[str, Job]) -> ShipJob:
    """Return the ship job that stages are of: the inverse of :func:`stages`.

    Args:
        found: Jobs of all stages, by name.
    """
    values: dict[str, Any] = {}
    for stage in found.values():
        # The training comes first: what differs for a later stage is its own.
        values |= {
            field.name: getattr(stage, field.name) for field, _ in settings_of(type(stage)) if field.name not in values
        }
    known = {field.name for field, _ in settings_of(ShipJob)}
    whole = {name: value for name, value in values.items() if name in known}
    return ShipJob(**{**whole, "skip_register_checkpoint": "register" not in found})


def combined(done: Mapping[str, Result]) -> Result:
    """Return the result of a chain: of its training, its verdict, its exports, and of the stage that ended it.

    Args:
        done: Results of the stages that were run, by name, in their order.
    """
    last = list(done.values())[-1]
    train, gate, infer = (done.get(name) for name in ("train", "gate", "infer"))
    metrics = {**({"gate": gate.metrics} if gate else {}), **(infer.metrics if infer else {})}
    return dataclasses.replace(
        train or last,
        kind=ShipJob.kind,
        status=last.status,
        exit_code=last.exit_code,
        error=last.error,
        registered_model=last.registered_model if "register" in done else None,
        metrics=metrics or last.metrics,
        passed=gate.passed if gate else None,
        artifacts=tuple(dict.fromkeys(path for result in done.values() for path in result.artifacts)),
    )


def _after(stage: str, trained: Callable[[str], str]) -> dict[str, Any]:
    """Return what differs for a stage that works with the checkpoint which the chain has trained."""
    return {
        "checkpoint_uri": trained(stage),
        "checkpoint_sha256": None,
        "run_smoke_test": False,
        "sleep_after_unpack": 0,
        # The scale of a training is not that of an evaluation.
        "num_envs": next(field.default for field in dataclasses.fields(_JOB_OF[stage]) if field.name == "num_envs"),
    }


_JOB_OF: dict[str, type[Job]] = {"gate": ValidateJob, "infer": InferJob, "register": RegisterJob}


def _derived(cls: type[Job], job: ShipJob, **changed: Any) -> Job:
    """Return a job of a kind with the ship job's values of the settings that both have."""
    known = {field.name for field, _ in settings_of(type(job))}
    shared = {field.name: getattr(job, field.name) for field, _ in settings_of(cls) if field.name in known}
    return cls(**{**shared, **changed})
