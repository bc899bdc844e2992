"""What a job is, to the process that runs it."""

from __future__ import annotations

import importlib
import sys
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ..errors import UsageError
from ..job import Job, RunContext
from ..lifecycle import StopRequest
from ..progress import Progress
from ..ranks import ALONE, Rank
from ..result import Result

JOBS: dict[str, str] = {
    "train": "gaitway_runtime.jobs.train",
    "validate": "gaitway_runtime.jobs.validate",
    "infer": "gaitway_runtime.jobs.infer",
    "dump-contract": "gaitway_runtime.jobs.dump_contract",
}
"""Job modules by kind, imported when a job of that kind runs. Each offers ``run``."""


@dataclass(frozen=True)
class Workspace:
    """What a job works with: where its files go, whether it should stop, whom to tell how far it is, who it is."""

    output_dir: Path
    stop: StopRequest
    progress: Progress
    rank: Rank = ALONE


class JobModule(Protocol):
    """What a module in :data:`JOBS` offers."""

    def run(self, job: Job, context: RunContext, workspace: Workspace) -> Result:
        """Do the job and say how it ended; the caller writes ``result.json``.

        A result may have status ``failed`` (a gate that was not met, with ``exit_code`` 5 and the ``error``) or
        ``cancelled`` (asked to stop, and saved).

        Raises:
            GaitwayError: The job cannot be done; the caller turns the error into a result.
        """
        ...


def load(kind: str) -> JobModule:
    """Return the module that runs jobs of a kind.

    Raises:
        UsageError: There is none.
    """
    if kind not in JOBS:
        raise UsageError(f"unknown job kind '{kind}'", allowed=", ".join(JOBS))
    module: JobModule = importlib.import_module(JOBS[kind])
    return module


def import_task_modules(names: Sequence[str]) -> None:
    """Import the user's modules, which register tasks as they are imported.

    Raises:
        UsageError: One cannot be imported; the error names it, why, and which were asked for. The traceback is logged.
    """
    name = ""
    try:
        for name in names:
            importlib.import_module(name)
    except Exception as error:
        # A user's module may raise anything.
        traceback.print_exc(file=sys.stderr)
        raise UsageError(
            f"module '{name}' cannot be imported: {type(error).__name__}: {error}",
            source=f"--import {' --import '.join(names)}",
            hint="ship its folder with --with PATH",
        ) from error
