"""Handle of a run, wherever it runs. The command line and the Python API use the same object."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

from gaitway_runtime.spec.errors import ErrorDocument
from gaitway_runtime.spec.result import CheckpointRef, GateVerdict, Result
from gaitway_runtime.spec.types import JsonObject

from . import locks
from .errors import GateFailed, JobFailed, PlatformError, UsageError
from .ledger import Damage, Ledger, RunRecord, read_document
from .planning import next_command
from .platforms.base import (
    FindsRuns,
    LogSelection,
    Platform,
    Restarts,
    RunRef,
    RunStatus,
    SelectsLogs,
    StatusReport,
    load,
)
from .progress import ProgressRecord, last_report, tracking_url
from .unpublished import WaitingDocument, waiting_of

if TYPE_CHECKING:
    from .checkpoints.checkpoint import ListedCheckpoint

POLL_S = {True: 5.0, False: 0.1}
"""Pause between two questions for a run's status, remote or not [s]."""

PATIENCE = 6
"""Questions in a row that a platform may leave without an answer while a run is waited for."""

LONGEST_PAUSE_S = 60.0
"""Longest pause after one of them [s]."""

EXIT_CODES = {RunStatus.SUCCEEDED: 0, RunStatus.FAILED: 1, RunStatus.CANCELLED: 130}
"""Exit code of a run that ended without telling its own."""


class CheckpointDocument(TypedDict):
    """A final checkpoint in a run's JSON document."""

    uri: str | None
    path: str | None
    """Where it lies on this machine; None where it is only elsewhere."""
    iteration: int
    sha256: str


class RunDocument(TypedDict):
    """What ``--json`` prints of a run."""

    run: str
    kind: str
    platform: str
    status: str
    detail: str
    exit_code: int | None
    task: str
    created: str
    url: str | None
    run_dir: str
    experiment: str | None
    mlflow_run_id: str | None
    iterations: int | None
    steps: int | None
    seconds: float | None
    final_checkpoint: CheckpointDocument | None
    registered_model: Mapping[str, str] | None
    metrics: JsonObject
    passed: bool | None
    gate: str
    exports_equal: bool | None
    progress: ProgressRecord | None
    tracking_url: str | None
    artifacts: list[str]
    simulator: str | None
    payload_sha256: str | None
    published: bool | None
    """Whether everything has reached the tracking server; None while nothing is known of it."""
    waiting: WaitingDocument | None
    """What has not."""
    error: ErrorDocument | None
    next: str | None


@dataclass(frozen=True, kw_only=True)
class TrainResult(Result):
    """Result of a training that has made a checkpoint."""

    final_checkpoint: CheckpointRef


@dataclass(frozen=True)
class Run:
    """A submitted run."""

    record: RunRecord
    ledger: Ledger

    @staticmethod
    def of(record: RunRecord, ledger: Ledger) -> Run:
        """Return the run of a record, as the class that its kind has."""
        return (TrainRun if record.kind == "train" else Run)(record, ledger)

    @property
    def name(self) -> str:
        """The run's name in the ledger."""
        return self.record.name

    @property
    def run_dir(self) -> Path:
        """The run's folder."""
        return self.ledger.run_dir(self.name)

    @property
    def platform(self) -> Platform:
        """Where the run runs."""
        return load(self.record.platform)

    def status(self) -> StatusReport:
        """Ask how the run is doing.

        Raises:
            PlatformError: The platform does not answer.
        """
        platform = self.platform
        # A run on this machine can be looked at at any time; a recorded end may be an older release's guess.
        known = self.ledger.ended(self.name) if platform.limits.remote else None
        if known is not None:
            return known
        record = self.current()
        if platform.limits.remote and not record.id:
            if locks.is_taken(locks.of_run(self.run_dir)):
                return StatusReport(RunStatus.QUEUED, detail="it is being submitted")
            detail = f"the submission was interrupted; look at {record.platform} whether it arrived"
            return StatusReport(RunStatus.UNKNOWN, detail=detail)
        report = platform.status(record.ref, self.run_dir)
        self.ledger.record_end(self.name, report)
        return report

    def current(self) -> RunRecord:
        """Return the run's record, with the platform's id of it if that is known by now.

        A submission that got no answer is looked for on its platform.

        Raises:
            PlatformError: The platform does not answer.
        """
        record = self._written()
        settled = record.id or not self.platform.limits.remote or locks.is_taken(locks.of_run(self.run_dir))
        return record if settled else self._find(self.platform) or record

    def _written(self) -> RunRecord:
        """Return the record as it stands in the ledger: the platform's id may have been found since."""
        return self.record if self.record.id or not self.platform.limits.remote else self.ledger.read(self.name)

    def located(self) -> RunRef:
        """Return what the platform knows the run by.

        Raises:
            GaitwayError: It has not got the run, so far, or does not answer.
        """
        record = self.current()
        if self.platform.limits.remote and not record.id:
            raise UsageError(
                f"{record.platform} is not known to have run '{self.name}'", hint=f"gaitway status {self.name}"
            )
        return record.ref

    def _find(self, platform: Platform) -> RunRecord | None:
        """Return the record of a run whose submission got no answer, once its platform has been found to have it."""
        if not isinstance(platform, FindsRuns):
            return None
        document = read_document(self.run_dir, "job.json") or {}
        run_id = (document.get("context") or {}).get("run_id")
        found = platform.find(run_id, self.run_dir) if run_id else None
        if found is None:
            return None
        record = dataclasses.replace(self.record, id=found.id, url=found.url)
        self.ledger.write(record)
        return record

    def restart(self) -> Run:
        """Start again what has not succeeded, and return the run as it is now.

        Raises:
            GaitwayError: The run has not failed, or its platform cannot start it again or refuses.
        """
        platform = self.platform
        if not isinstance(platform, Restarts):
            raise UsageError(f"{platform.name} has no way to start a run again", source=f"run {self.name}")
        ref = platform.restart(self.located(), self.run_dir)
        record = dataclasses.replace(self.record, id=ref.id, url=ref.url)
        self.ledger.write(record)
        self.ledger.forget_end(self.name)
        return Run.of(record, self.ledger)

    def logs_of(self, selection: LogSelection) -> Iterator[str]:
        """Yield the lines of a part of the log, as far as it goes now.

        Raises:
            UsageError: The platform keeps one log only.
        """
        platform = self.platform
        if not isinstance(platform, SelectsLogs):
            raise UsageError(
                f"{platform.name} keeps one log of a run", source="--attempt, --task, --error", hint="gaitway logs RUN"
            )
        return platform.logs_of(self.located(), self.run_dir, selection)

    def wait(self, timeout_s: float | None = None, *, raise_on_failure: bool = False) -> StatusReport:
        """Wait until the run has ended, or a time is over, and return how it is then.

        Args:
            timeout_s: Longest time to wait [s]; without end when None.
            raise_on_failure: Raise when the run has ended in any other way than successfully.

        Raises:
            JobFailed: The run failed or was cancelled; the error says why.
            GateFailed: The policy did not meet its gate.
            PlatformError: The platform does not answer, so many times in a row that it will not do so soon.
        """
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        pause = POLL_S[self.platform.limits.remote]
        failures = 0
        while True:
            left = math.inf if deadline is None else deadline - time.monotonic()
            try:
                report, failures = self.status(), 0
            except PlatformError:  # a run takes hours, and no service is there all the time
                failures += 1
                if failures >= PATIENCE or left <= 0:
                    raise
            else:
                if report.status.ended or left <= 0:
                    break
            time.sleep(max(0.0, min(pause * 2**failures, LONGEST_PAUSE_S, left)))
        if raise_on_failure and report.status in (RunStatus.FAILED, RunStatus.CANCELLED):
            raise self._failure(report)
        return report

    def logs(self, follow: bool = False) -> Iterator[str]:
        """Yield the lines of the log; with ``follow`` until the run ends."""
        return self.platform.logs(self.located(), self.run_dir, follow)

    def follow(self, write: Callable[[str], object] = print) -> StatusReport:
        """Hand every line of the log to ``write`` until the run ends, and return how it ended."""
        for line in self.logs(follow=True):
            write(line)
        return self.wait()

    def cancel(self) -> StatusReport:
        """Ask the run to save and stop, and return what became of it.

        Of a run that has ended, what is left of its processes on this machine is ended.
        """
        report = self.status()
        if report.status.ended and self.platform.limits.remote:
            return report
        report = self.platform.cancel(self.located(), self.run_dir)
        self.ledger.record_end(self.name, report)
        return report

    def fetch(self, into: Path, pattern: str = "*") -> Sequence[Path]:
        """Copy the output files that match a pattern into a folder and return their paths."""
        return self.platform.fetch(self.located(), self.run_dir, pattern, into)

    def checkpoints(self) -> tuple[ListedCheckpoint, ...]:
        """Return the checkpoints that the run has made, also while it runs; newest last.

        Raises:
            GaitwayError: They are known to a tracking server alone, and it cannot be asked.
        """
        from .checkpoints import listing  # knows every kind of address, which most commands do without

        return listing.of_run(self.ledger, self.name, load).checkpoints

    def result(self) -> Result:
        """Return how the run ended: its ``result.json``.

        Raises:
            UsageError: The run has not ended.
            JobFailed: It ended without a result.
            PlatformError: The platform does not answer.
        """
        report = self.status()
        if not report.status.ended:
            hint = "wait() waits until it has; status() tells how it is doing"
            raise UsageError(f"run '{self.name}' has not ended: it is {report.status.value}", hint=hint)
        if report.result is None:
            raise self._failure(report)
        return report.result

    def document(self, report: StatusReport | None = None) -> RunDocument:
        """Return everything about the run as ``--json`` prints it."""
        report = report or self.status()
        record = self._written()
        return document(record, report, self.run_dir, next_command(record, report, self.run_dir))

    def _failure(self, report: StatusReport) -> JobFailed | GateFailed:
        """Return the error of a run that ended without success, or without a result."""
        told = report.result.error if report.result else None
        kind = GateFailed if exit_code(report) == GateFailed.exit_code else JobFailed
        message = str(told["message"]) if told else report.detail or "it ended without a result"
        return kind(
            f"run '{self.name}' {report.status.value}: {message}",
            source=str(self.run_dir),
            hint=str(told["hint"]) if told and told.get("hint") else f"gaitway logs {self.name}",
        )


@dataclass(frozen=True)
class TrainRun(Run):
    """A submitted training."""

    def result(self) -> TrainResult:
        """Return how the training ended; see :meth:`Run.result`.

        Raises:
            UsageError: The run has not ended.
            JobFailed: It ended without a result, or before it had made a checkpoint.
            PlatformError: The platform does not answer.
        """
        found = super().result()
        if found.final_checkpoint is None:
            raise self._failure(self.status())
        return TrainResult(**{field.name: getattr(found, field.name) for field in fields(found)})


def damaged(damage: Damage, ledger: Ledger) -> RunDocument:
    """Return what ``--json`` prints in place of a run whose folder cannot be read."""
    record = RunRecord(name=damage.name, platform="", kind="", task="", created="", command=())
    report = StatusReport(RunStatus.UNKNOWN, detail=damage.reason)
    return document(record, report, ledger.run_dir(damage.name), None)


def document(record: RunRecord, report: StatusReport, run_dir: Path, following: str | None) -> RunDocument:
    """Return what is known of a run, with the command to type next."""
    result = report.result
    waiting = waiting_of(run_dir)
    return {
        "run": record.name,
        "kind": record.kind,
        "platform": record.platform,
        "status": report.status.value,
        "detail": report.detail,
        "exit_code": exit_code(report),
        "task": record.task,
        "created": record.created,
        "url": record.url,
        "run_dir": str(run_dir),
        "experiment": (result.experiment if result else None) or record.experiment,
        "mlflow_run_id": result.mlflow_run_id if result else None,
        "iterations": result.iterations if result else None,
        "steps": result.steps if result else None,
        "seconds": result.seconds if result else None,
        "final_checkpoint": _final_checkpoint(record, result, run_dir),
        "registered_model": result.registered_model if result else None,
        "metrics": result.metrics if result else {},
        "passed": result.passed if result else None,
        "gate": (result.verdict if result else GateVerdict.NOT_JUDGED).value,
        "exports_equal": result.exports_equal if result else None,
        "progress": last_report(run_dir),
        "tracking_url": tracking_url(run_dir),
        "artifacts": list(result.artifacts) if result else [],
        "simulator": result.simulator if result else None,
        "payload_sha256": record.payload_sha256,
        "published": False if waiting else result.published if result else None,
        "waiting": waiting,
        "error": result.error if result else None,
        "next": following,
    }


def _final_checkpoint(record: RunRecord, result: Result | None, run_dir: Path) -> CheckpointDocument | None:
    """Return a run's final checkpoint with an address that later commands take, and its path on this machine."""
    final = result.final_checkpoint if result else None
    if final is None:
        return None
    path = run_dir / "outputs" / final.path
    here = path.exists()
    uri = final.uri if here or final.uri else f"{record.name}@{final.iteration}"
    return {"uri": uri, "path": str(path) if here else None, "iteration": final.iteration, "sha256": final.sha256}


def exit_code(report: StatusReport) -> int | None:
    """Return the exit code that stands for how a run ended, or None while it has not."""
    return report.exit_code if report.exit_code is not None else EXIT_CODES.get(report.status)
