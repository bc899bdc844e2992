"""OSMO as a platform: each method is carried out by one module of this package."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from gaitway_runtime.spec.job import Job

from ...checkpoints.kept import KeptCheckpoint
from ...findings import Finding
from ...settings.values import Setting
from ...variations import DESIGN_FILE, SweepDesign
from ..base import AdoptedRun, Limits, LogSelection, RemoteRun, Request, RunRef, StatusReport, Submission, TrialRun
from .options import OsmoOptions
from .payload import INLINE_LIMIT


class OsmoPlatform:
    """A cluster that NVIDIA OSMO manages."""

    name = "osmo"
    limits = Limits(inline_bytes=INLINE_LIMIT, saves_on_cancel=False, sweeps=True)
    options: type[Any] = OsmoOptions

    def forwarded_settings(self, job: type[Job], words: tuple[str, ...]) -> Mapping[str, str]:
        """Return the settings that a user named as template variables: ``azure_resource_group=...`` and the like."""
        if not words:
            return {}
        from .request import settings_named

        return settings_named(words, job)

    def check(self, settings: Mapping[str, Setting]) -> Sequence[Finding]:
        """Look at the ``osmo`` command, its login, the pool and the storage."""
        from .doctor import check_osmo

        return check_osmo(settings)

    def render(self, submission: Submission) -> Request:
        """Return the workflow that will be submitted.

        Raises:
            GaitwayError: OSMO would refuse it, or accept it and let it die.
        """
        from .request import render

        return render(submission)

    def submit(self, submission: Submission, request: Request, run_dir: Path) -> RunRef:
        """Deliver the payload and submit the workflow.

        Raises:
            GaitwayError: OSMO refused, or cannot be reached.
        """
        from .submit import submit_workflow

        return submit_workflow(submission, request, run_dir)

    def status(self, ref: RunRef, run_dir: Path) -> StatusReport:
        """Ask OSMO how a workflow is doing."""
        from .status import report_of
        from .submit_record import workflows_of

        if (run_dir / DESIGN_FILE).exists():
            from .sweep import sweep_report

            return sweep_report(workflows_of(run_dir, ref.id))
        return report_of(ref.id, workflows_of(run_dir, ref.id))

    def logs(self, ref: RunRef, run_dir: Path, follow: bool) -> Iterator[str]:
        """Yield the log; with ``follow`` over reconnections until the workflow ends."""
        from .logs import follow_log, read_log
        from .status import has_ended

        return follow_log(ref.id, has_ended) if follow else read_log(ref.id, LogSelection())

    def logs_of(self, ref: RunRef, run_dir: Path, selection: LogSelection) -> Iterator[str]:
        """Yield a part of the log as far as it goes now."""
        from .logs import read_log

        return read_log(ref.id, selection)

    def execute(self, ref: RunRef, run_dir: Path, command: Sequence[str]) -> int:
        """Run a command in the task that runs now."""
        from .shell import execute

        return execute(ref, command)

    def forward_port(self, ref: RunRef, run_dir: Path, local: int, remote: int) -> int:
        """Make a port of the task that runs now one of this machine."""
        from .shell import forward_port

        return forward_port(ref, local, remote)

    def sync(self, ref: RunRef, run_dir: Path, source: str, target: str, patterns: Sequence[str]) -> int:
        """Copy files to or from the task that runs now."""
        from .shell import sync

        return sync(ref, source, target, patterns)

    def events(self, ref: RunRef, run_dir: Path) -> Iterator[str]:
        """Yield what happened to the workflow's pods."""
        from .shell import events

        return events(ref)

    def restart(self, ref: RunRef, run_dir: Path) -> RunRef:
        """Start the tasks that have not completed, in a workflow of their own."""
        from .client import NoAnswer
        from .search import find_restarted
        from .shell import restart
        from .submit_record import read_record, workflows_of, write_record

        try:
            again = restart(ref)
        except NoAnswer as error:
            again = find_restarted(ref, run_dir, error)
        write_record(run_dir, {**read_record(run_dir), "earlier": workflows_of(run_dir, ref.id)})
        return again

    def find(self, submission: str, run_dir: Path) -> RunRef | None:
        """Return the workflow of a submission that got no answer, if OSMO has it."""
        from .search import find_run
        from .submit_record import read_record, write_record

        record = read_record(run_dir)
        found = find_run(submission, str(record.get("name", "")))
        if found is not None:
            write_record(run_dir, {**record, "workflow": found.id})
        return found

    def list_runs(self, settings: Mapping[str, Setting]) -> Sequence[RemoteRun]:
        """Return the newest workflows that OSMO lets the user see."""
        from .search import list_workflows

        return list_workflows()

    def adopt(self, id: str) -> AdoptedRun:
        """Return what a workflow carries of its run."""
        from .search import adopt_workflow

        return adopt_workflow(id)

    def fetch_metrics(self, ref: RunRef, run_dir: Path, *, ended: bool, quick: bool = False) -> None:
        """Bring the metrics of a run that has no tracking server."""
        from .metrics import fetch_metrics

        fetch_metrics(ref, run_dir, ended, quick)

    def list_trials(self, ref: RunRef, run_dir: Path, design: SweepDesign) -> Sequence[TrialRun]:
        """Return the runs of a sweep."""
        from .sweep import list_trials

        return list_trials(ref, run_dir, design)

    def list_checkpoints(self, ref: RunRef, run_dir: Path) -> Sequence[KeptCheckpoint]:
        """Return the checkpoints that the run's log reports."""
        from .handover import list_checkpoints

        return list_checkpoints(ref, run_dir)

    def checkpoint_address(self, ref: RunRef, run_dir: Path, which: str) -> str | None:
        """Return the address by which a later job on OSMO gets a checkpoint, from object storage or OSMO's own."""
        from .handover import checkpoint_address

        return checkpoint_address(ref, run_dir, which)

    def is_checkpoint_address(self, text: str) -> bool:
        """Return whether OSMO can bring the checkpoint of an address to a task."""
        from .handover import is_handed_over

        return is_handed_over(text)

    def is_tracked(self, run_dir: Path) -> bool:
        """Return whether the run reports to a tracking server."""
        from .handover import is_tracked

        return is_tracked(run_dir)

    def cancel(self, ref: RunRef, run_dir: Path) -> StatusReport:
        """Ask OSMO to cancel a workflow, and look whether it does.

        Raises:
            PlatformError: It does not.
        """
        from .status import cancel_workflow
        from .submit_record import workflows_of

        return cancel_workflow(ref.id, workflows_of(run_dir, ref.id))

    def fetch(self, ref: RunRef, run_dir: Path, pattern: str, into: Path) -> Sequence[Path]:
        """Copy output files from object storage, or from the run's MLflow artifacts."""
        from .download import download_outputs

        return download_outputs(ref, run_dir, pattern, into)
