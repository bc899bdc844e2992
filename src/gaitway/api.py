"""Verbs as Python functions; the command line takes the same path.

    run = gaitway.train(task="Isaac-Cartpole-v0", seed=1)
    run.wait(raise_on_failure=True)
    print(run.result().final_checkpoint.uri)

Settings are named by their keys (``gaitway config`` lists them) or as their flags are (``on="osmo"``). What is not
named is resolved as everywhere: from the environment, from Terraform outputs, from the defaults. A job may also be
given as an object: ``gaitway.train(TrainJob(task="Isaac-Ant-v0"), on="osmo")``.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

from gaitway_runtime.spec.job import JOB_KINDS, InferJob, Job, ShipJob, TrainJob, ValidateJob
from gaitway_runtime.spec.settings import settings_of

from .all_settings import ALIASES
from .errors import UsageError, nearest
from .exporting import export_checkpoint
from .ledger import Ledger
from .planning import Prepared, launch
from .platforms.base import load
from .preparation import Asked, prepare
from .run_handle import Run, TrainRun

if TYPE_CHECKING:
    from gaitway_runtime.policies.checkpoint_export import CheckpointExport
    from typing_extensions import Unpack

    from .keywords import InferKeywords, SharedKeywords, ShipKeywords, TrainKeywords, ValidateKeywords


def train(job: TrainJob | None = None, *, forwarded: Sequence[str] = (), **settings: Unpack[TrainKeywords]) -> TrainRun:
    """Start a training and return its run at once; on this machine it is a process of its own.

    Args:
        job: The job, in place of its settings by keyword. Fields that keep their default are resolved as if unnamed.
        forwarded: What the command line takes after ``--``.
        settings: Settings by keyword.

    Raises:
        GaitwayError: The request cannot be right, or the platform refused it.
    """
    prepared = plan(job or TrainJob, forwarded=forwarded, **settings)
    return TrainRun(launch(prepared, os.environ), Ledger.at_home(os.environ))


def validate(
    job: ValidateJob | None = None, *, forwarded: Sequence[str] = (), **settings: Unpack[ValidateKeywords]
) -> Run:
    """Start a validation; see :func:`train`."""
    return submit(plan(job or ValidateJob, forwarded=forwarded, **settings))


def infer(job: InferJob | None = None, *, forwarded: Sequence[str] = (), **settings: Unpack[InferKeywords]) -> Run:
    """Start an inference; see :func:`train`."""
    return submit(plan(job or InferJob, forwarded=forwarded, **settings))


def ship(job: ShipJob | None = None, *, forwarded: Sequence[str] = (), **settings: Unpack[ShipKeywords]) -> Run:
    """Start the chain of training, validation, inference and registration; see :func:`train`."""
    return submit(plan(job or ShipJob, forwarded=forwarded, **settings))


@overload
def plan(
    job: TrainJob | type[TrainJob] | Literal["train"],
    *,
    forwarded: Sequence[str] = (),
    **settings: Unpack[TrainKeywords],
) -> Prepared: ...
@overload
def plan(
    job: ValidateJob | type[ValidateJob] | Literal["validate"],
    *,
    forwarded: Sequence[str] = (),
    **settings: Unpack[ValidateKeywords],
) -> Prepared: ...
@overload
def plan(
    job: InferJob | type[InferJob] | Literal["infer"],
    *,
    forwarded: Sequence[str] = (),
    **settings: Unpack[InferKeywords],
) -> Prepared: ...
@overload
def plan(
    job: ShipJob | type[ShipJob] | Literal["ship"], *, forwarded: Sequence[str] = (), **settings: Unpack[ShipKeywords]
) -> Prepared: ...
@overload
def plan(
    job: Job | type[Job] | Literal["dump-contract", "register"],
    *,
    forwarded: Sequence[str] = (),
    **settings: Unpack[SharedKeywords],
) -> Prepared: ...
def plan(job: Job | type[Job] | str, *, forwarded: Sequence[str] = (), **settings: Any) -> Prepared:
    """Work out a submission without doing anything: its plan and its exact request are in what is returned.

    Args:
        job: A job, a class of jobs, or the kind of one: ``"train"``.
        forwarded: What the command line takes after ``--``.
        settings: Settings by keyword; they win over the fields of a job.

    Raises:
        GaitwayError: The request cannot be right.
    """
    cls = _kind(job)
    named = _chosen(job) if isinstance(job, Job) else {}
    values = {**named, **{ALIASES.get(key, key): _plain(value) for key, value in settings.items()}}
    return prepare(Asked(cls, values, tuple(forwarded)), os.environ)


def submit(prepared: Prepared) -> Run:
    """Submit what :func:`plan` worked out.

    Raises:
        GaitwayError: The platform refused it.
    """
    ledger = Ledger.at_home(os.environ)
    return Run.of(launch(prepared, os.environ), ledger)


def export(
    checkpoint: str | os.PathLike[str],
    output: str | os.PathLike[str] = "exported",
    *,
    format: str = InferJob.format,
    activation: str | None = None,
) -> CheckpointExport:
    """Turn a checkpoint into ONNX and TorchScript files that are compared with it before they appear.

    Args:
        checkpoint: A file, an address, or ``RUN[@latest|@best|@ITERATION]``.
        output: Folder for the files.
        format: Format to export to; all the usual ones when omitted.
        activation: Activation of the policy network, where nothing beside the checkpoint tells.

    Raises:
        UsageError: The checkpoint cannot be found or read.
        ConfigError: A package that the export needs is not installed.
        JobFailed: An export failed, or differs from the checkpoint.
    """
    from .checkpoints import references

    address = references.resolve(os.fspath(checkpoint), Ledger.at_home(os.environ), source_of=load)
    return export_checkpoint(address, Path(output), format=format, activation=activation)


def runs() -> list[Run]:
    """Return the runs of this folder, oldest first; those whose records are damaged are left out."""
    ledger = Ledger.at_home(os.environ)
    records, _ = ledger.all()
    return [Run.of(record, ledger) for record in records]


def run(name: str) -> Run:
    """Return a run of this folder by name.

    Raises:
        UsageError: There is none of that name.
        ConfigError: Its record is damaged.
    """
    ledger = Ledger.at_home(os.environ)
    return Run.of(ledger.read(name), ledger)


def _kind(job: Job | type[Job] | str) -> type[Job]:
    """Return the class of a job, of a class, or of a kind.

    Raises:
        UsageError: There is no such kind.
    """
    if isinstance(job, Job):
        return type(job)
    if isinstance(job, str):
        if job not in JOB_KINDS:
            close = nearest(job, JOB_KINDS)
            hint = f"did you mean {close}?" if close else None
            raise UsageError(f"unknown job kind '{job}'", allowed=", ".join(JOB_KINDS), hint=hint)
        return JOB_KINDS[job]
    return job


def _chosen(job: Job) -> Mapping[str, Any]:
    """Return the fields of a job that differ from their default, by key."""
    pairs = ((field, getattr(job, field.name)) for field, _ in settings_of(type(job)))
    return {field.name: value for field, value in pairs if value != field.default}


def _plain(value: Any) -> Any:
    """Return a value as a setting takes it: paths as text, sequences as tuples."""
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, Sequence) and not isinstance(value, str):
        return tuple(map(_plain, value))
    return value
