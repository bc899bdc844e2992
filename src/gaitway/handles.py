"""A run, wherever it runs: ask, wait, read, stop, fetch. The command line and the Python API use the same object."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .commands import next_command
from .ledger import Damage, Ledger, RunRecord
from .platforms.base import Platform, RunStatus, StatusReport, load

if TYPE_CHECKING:
    from .checkpoints.known import Checkpoint

POLL_S = {True: 5.0, False: 0.1}
"""Pause between two questions for a run's status, remote or not [s]."""

EXIT_CODES = {RunStatus.SUCCEEDED: 0, RunStatus.FAILED: 1, RunStatus.CANCELLED: 130}
"""Exit code of a run that ended without telling its own."""


@dataclass(frozen=True)
class Run:
    """A submitted run."""

    record: RunRecord
    ledger: Ledger

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
        known = self.ledger.ended(self.name)
        if known is not None:
            return known
        platform = self.platform
        if platform.limits.remote and not self.record.id:
            detail = f"the submission was interrupted; look at {self.record.platform} whether it arrived"
            return StatusReport(RunStatus.UNKNOWN, detail=detail)
        report = platform.status(self.record.ref, self.run_dir)
        self.ledger.settle(self.name, report)
        return report

    def wait(self, timeout_s: float | None = None) -> StatusReport:
        """Wait until the run has ended, or a time is over, and return how it is then."""
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        pause = POLL_S[self.platform.limits.remote]
        while not (report := self.status()).status.ended:
            left = pause if deadline is None else min(pause, deadline - time.monotonic())
            if left <= 0:
                break
            time.sleep(left)
        return report

    def logs(self, follow: bool = False) -> Iterator[str]:
        """Yield the lines of the log; with ``follow`` until the run ends."""
        return self.platform.logs(self.record.ref, self.run_dir, follow)

    def follow(self, write: Callable[[str], object] = print) -> StatusReport:
        """Hand every line of the log to ``write`` until the run ends, and return how it ended."""
        for line in self.logs(follow=True):
            write(line)
        return self.wait()

    def cancel(self) -> StatusReport:
        """Ask the run to save and stop, and return what became of it. A run that has ended is left as it is."""
        report = self.status()
        if report.status.ended:
            return report
        report = self.platform.cancel(self.record.ref, self.run_dir)
        self.ledger.settle(self.name, report)
        return report

    def fetch(self, into: Path, pattern: str = "*") -> Sequence[Path]:
        """Copy the output files that match a pattern into a folder and return their paths."""
        return self.platform.fetch(self.record.ref, self.run_dir, pattern, into)

    def checkpoints(self) -> tuple[Checkpoint, ...]:
        """Return the checkpoints that the run has made, also while it goes on; newest last.

        Raises:
            GaitwayError: They are known to a tracking server alone, and it cannot be asked.
        """
        from .checkpoints import listing  # knows every kind of address, which most commands do without

        return listing.of_run(self.ledger, self.name).checkpoints

    def result(self) -> Mapping[str, Any] | None:
        """Return the run's ``result.json``, or None while there is none."""
        return self.status().result

    def document(self, report: StatusReport | None = None) -> dict[str, Any]:
        """Return everything about the run as ``--json`` prints it."""
        report = report or self.status()
        return {**document(self.record, report, self.run_dir), "next": next_command(self.record, report, self.run_dir)}


def damaged(damage: Damage, ledger: Ledger) -> dict[str, Any]:
    """Return what ``--json`` prints in place of a run whose folder cannot be read."""
    record = RunRecord(name=damage.name, platform="", kind="", task="", created="", command=())
    report = StatusReport(RunStatus.UNKNOWN, detail=damage.reason)
    return {**document(record, report, ledger.run_dir(damage.name)), "next": None}


def document(record: RunRecord, report: StatusReport, run_dir: Path) -> dict[str, Any]:
    """Return what is known of a run."""
    result = report.result or {}
    final = result.get("final_checkpoint")
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
        "experiment": result.get("experiment") or record.experiment,
        "mlflow_run_id": result.get("mlflow_run_id"),
        "iterations": result.get("iterations"),
        "steps": result.get("steps"),
        "seconds": result.get("seconds"),
        "final_checkpoint": final and {**final, "path": str(run_dir / "outputs" / final["path"])},
        "registered_model": result.get("registered_model"),
        "metrics": result.get("metrics", {}),
        "passed": result.get("passed"),
        "artifacts": list(result.get("artifacts", ())),
        "simulator": result.get("simulator"),
        "payload_sha256": record.payload_sha256,
        "error": result.get("error"),
    }


def exit_code(report: StatusReport) -> int | None:
    """Return the exit code that stands for how a run ended, or None while it has not."""
    return report.exit_code if report.exit_code is not None else EXIT_CODES.get(report.status)
