"""The verbs as Python functions; the command line takes the same path.

    run = gaitway.train(task="Isaac-Cartpole-v0", seed=1)
    run.wait()
    print(run.document()["final_checkpoint"])

Settings are named by their keys (``gaitway config`` lists them); what is not named is resolved as everywhere: from
the environment, from Terraform outputs, from the defaults.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from gaitway_runtime.job import InferJob, Job, TrainJob, ValidateJob

from .handles import Run
from .launch import Asked, Prepared, launch, prepare
from .ledger import Ledger

ALIASES = {"on": "platform", "name": "run_name", "with_": "with_paths", "import_": "imports", "set": "overrides"}
"""Names that a setting may also be given by: those of its flag, ``--on``, ``--name`` and so on."""


def train(*, forwarded: Sequence[str] = (), **settings: Any) -> Run:
    """Start a training and return its run at once; on this machine it is a process of its own.

    Args:
        forwarded: What the command line takes after ``--``.
        settings: Settings by key, for example ``task="Isaac-Ant-v0"``, ``on="osmo"``, ``num_envs=64``.

    Raises:
        GaitwayError: The request cannot be right, or the platform refused it.
    """
    return submit(plan(TrainJob, forwarded=forwarded, **settings))


def validate(*, forwarded: Sequence[str] = (), **settings: Any) -> Run:
    """Start a validation; see :func:`train`."""
    return submit(plan(ValidateJob, forwarded=forwarded, **settings))


def infer(*, forwarded: Sequence[str] = (), **settings: Any) -> Run:
    """Start an inference; see :func:`train`."""
    return submit(plan(InferJob, forwarded=forwarded, **settings))


def plan(job: type[Job], *, forwarded: Sequence[str] = (), **settings: Any) -> Prepared:
    """Work out a submission without doing anything: its plan and its exact request are in what is returned.

    Raises:
        GaitwayError: The request cannot be right.
    """
    values = {ALIASES.get(key, key): _plain(value) for key, value in settings.items()}
    return prepare(Asked(job, values, tuple(forwarded)), os.environ)


def submit(prepared: Prepared) -> Run:
    """Submit what :func:`plan` worked out.

    Raises:
        GaitwayError: The platform refused it.
    """
    return Run(launch(prepared, os.environ), Ledger.at_home(os.environ))


def runs() -> list[Run]:
    """Return the runs of this folder, oldest first; those whose records are damaged are left out."""
    ledger = Ledger.at_home(os.environ)
    records, _ = ledger.all()
    return [Run(record, ledger) for record in records]


def run(name: str) -> Run:
    """Return a run of this folder by name.

    Raises:
        UsageError: There is none of that name.
        ConfigError: Its record is damaged.
    """
    ledger = Ledger.at_home(os.environ)
    return Run(ledger.read(name), ledger)


def _plain(value: Any) -> Any:
    """Return a value as a setting takes it: paths as text, sequences as tuples."""
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, Sequence) and not isinstance(value, str):
        return tuple(map(_plain, value))
    return value
