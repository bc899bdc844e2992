"""Abilities that a platform may have beside running jobs: each an interface of its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, runtime_checkable

from gaitway_runtime.spec.job import Job
from gaitway_runtime.spec.run_context import RunContext
from gaitway_runtime.spec.types import JsonObject

from ..findings import Finding as Finding
from ..settings.values import Setting
from ..status import RunRef as RunRef
from ..status import RunStatus as RunStatus
from ..status import StatusReport as StatusReport
from ..variations import Assignment, SweepDesign


@dataclass(frozen=True)
class LogSelection:
    """A part of a run's log."""

    task: str | None = None
    """Task of the run by the platform's name; all when None."""
    attempt: int | None = None
    """Which start of the run, from 0; the platform's choice when None."""
    error: bool = False
    """The error log that the platform keeps beside the log."""


@dataclass(frozen=True)
class RemoteRun:
    """A run as its platform lists it, whoever submitted it from wherever."""

    id: str
    status: RunStatus
    word: str
    """The platform's own word for the status."""
    created: str
    """Time of submission, ISO 8601 in UTC."""
    user: str = ""
    url: str | None = None


@dataclass(frozen=True)
class AdoptedRun:
    """What a run on a platform carries of itself: enough to make a record of it on another machine."""

    ref: RunRef
    job: Job
    context: RunContext
    created: str
    settings: JsonObject
    """A ``settings.json`` document of what is known."""
    experiment: str | None = None
    """Experiment that it is tracked in; the task's own when None."""
    files: Mapping[str, JsonObject] = field(default_factory=dict)
    """More documents for the run's folder, by path, that the platform wants to keep."""


@dataclass(frozen=True, kw_only=True)
class TrialRun:
    """A run of a sweep, as its platform knows it."""

    name: str
    status: RunStatus
    values: Assignment
    """Values of the varied keys, the seed left out."""
    metrics: Mapping[str, float]
    """The numbers that it ended with, by name."""
    detail: str = ""


@runtime_checkable
class ListsTrials(Protocol):
    """A platform that runs sweeps."""

    def list_trials(self, ref: RunRef, run_dir: Path, design: SweepDesign) -> Sequence[TrialRun]:
        """Return the runs of a sweep that have begun, in their order.

        Raises:
            GaitwayError: The platform does not answer.
        """
        ...


@runtime_checkable
class KeepsMetrics(Protocol):
    """A platform whose runs may keep their metrics in files rather than on a tracking server."""

    def fetch_metrics(self, ref: RunRef, run_dir: Path, *, ended: bool, quick: bool = False) -> None:
        """Bring ``metrics.jsonl`` and ``progress.jsonl``, as far as they go, into the ``outputs`` of a run's folder.

        Args:
            ref: The run.
            run_dir: Its folder in the ledger.
            ended: Whether the run has ended, so that the files need to be brought once only.
            quick: Whether to do without what takes more than a moment.

        Raises:
            GaitwayError: They cannot be had now.
        """
        ...


@runtime_checkable
class SelectsLogs(Protocol):
    """A platform that can show a part of a log."""

    def logs_of(self, ref: RunRef, run_dir: Path, selection: LogSelection) -> Iterator[str]:
        """Yield the lines of a part of a log, as far as it goes now."""
        ...


@runtime_checkable
class Executes(Protocol):
    """A platform that can run a command inside a run."""

    def execute(self, ref: RunRef, run_dir: Path, command: Sequence[str]) -> int:
        """Run a command where the run runs, with this terminal, and return its exit code; a shell when it is empty."""
        ...


@runtime_checkable
class ForwardsPorts(Protocol):
    """A platform that can make a port of a run one of this machine."""

    def forward_port(self, ref: RunRef, run_dir: Path, local: int, remote: int) -> int:
        """Forward until interrupted and return the exit code."""
        ...


@runtime_checkable
class SyncsFiles(Protocol):
    """A platform that can carry files to and from a run while it runs."""

    def sync(self, ref: RunRef, run_dir: Path, source: str, target: str, patterns: Sequence[str]) -> int:
        """Copy files and return the exit code; ``run:PATH`` names a place in the run, anything else one here."""
        ...


@runtime_checkable
class TellsEvents(Protocol):
    """A platform that tells what happened to a run beside its log."""

    def events(self, ref: RunRef, run_dir: Path) -> Iterator[str]:
        """Yield the events, oldest first, a line each."""
        ...


@runtime_checkable
class ChoosesSimulator(Protocol):
    """A platform on which the simulator of a job is known before it is submitted."""

    def simulator(self, settings: Mapping[str, Setting]) -> str:
        """Return the simulator that a job will use, installed or not: a plan needs none."""
        ...


@runtime_checkable
class Restarts(Protocol):
    """A platform that can start a failed run again where it failed."""

    def restart(self, ref: RunRef, run_dir: Path) -> RunRef:
        """Start what has not succeeded and return the run as the platform knows it now.

        Raises:
            GaitwayError: The run has not failed, or the platform refuses.
        """
        ...


@runtime_checkable
class FindsRuns(Protocol):
    """A platform that can be asked for runs that this folder has no record of."""

    def find(self, submission: str, run_dir: Path) -> RunRef | None:
        """Return the run with a run id, if the platform has it; for a submission that got no answer."""
        ...

    def list_runs(self, settings: Mapping[str, Setting]) -> Sequence[RemoteRun]:
        """Return the runs that the platform knows, newest last."""
        ...

    def adopt(self, id: str) -> AdoptedRun:
        """Return what a run carries of itself.

        Raises:
            UsageError: There is no such run, or it is not one of gaitway's.
        """
        ...
