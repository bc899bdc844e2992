"""Azure ML's implementation of the platform protocol; each module of this package does one part."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from gaitway_runtime.spec.job import Job

from ...errors import UsageError
from ...findings import Finding
from ...settings.values import Setting
from ...variations import SweepDesign
from ..base import AdoptedRun, Limits, RemoteRun, Request, RunRef, StatusReport, Submission, TrialRun
from .options import AzuremlOptions


class AzuremlPlatform:
    """An Azure ML workspace with a compute target."""

    name = "azureml"
    limits = Limits(sweeps=True)
    options: type[Any] = AzuremlOptions

    def forwarded_settings(self, job: type[Job], words: tuple[str, ...]) -> Mapping[str, str]:
        """Return the settings among ``key=value`` words, as instructions for other platforms write them.

        Raises:
            UsageError: A word has another form.
        """
        found = {}
        for word in words:
            key, equals, value = word.partition("=")
            if not equals or not key.isidentifier():
                raise UsageError(f"'{word}' is not a setting", source="after --", allowed="key=value")
            found[key] = value
        return found

    def check(self, settings: Mapping[str, Setting]) -> Sequence[Finding]:
        """Examine the client and the compute."""
        from . import doctor

        return doctor.findings(settings)

    def render(self, submission: Submission) -> Request:
        """Return the job that will be submitted.

        Raises:
            GaitwayError: Azure ML would refuse the job, or start it and let it fail.
        """
        from .request import render

        return render(submission)

    def submit(self, submission: Submission, request: Request, run_dir: Path) -> RunRef:
        """Upload the payload if the workspace does not have it and submit the job.

        Raises:
            GaitwayError: Azure ML refuses or cannot be reached.
        """
        from .submit import submit

        return submit(submission, request, run_dir)

    def status(self, ref: RunRef, run_dir: Path) -> StatusReport:
        """Return the state of a job."""
        from .status import status

        return status(ref, run_dir)

    def logs(self, ref: RunRef, run_dir: Path, follow: bool) -> Iterator[str]:
        """Yield the lines of the job's log; with ``follow`` until the job ends."""
        from .status import logs

        return logs(ref, run_dir, follow)

    def cancel(self, ref: RunRef, run_dir: Path) -> StatusReport:
        """Cancel a job and wait for Azure ML to confirm it."""
        from .status import cancel

        return cancel(ref, run_dir)

    def fetch(self, ref: RunRef, run_dir: Path, pattern: str, into: Path) -> Sequence[Path]:
        """Copy the artifacts of the job's run."""
        from .download import download

        return download(ref, run_dir, pattern, into)

    def restart(self, ref: RunRef, run_dir: Path) -> RunRef:
        """Start what has not succeeded again, as a job of its own."""
        from .restart import restart

        return restart(ref, run_dir)

    def find(self, submission: str, run_dir: Path) -> RunRef | None:
        """Return the job with a run id, if the workspace has it."""
        from .search import find_job

        return find_job(submission, run_dir)

    def list_runs(self, settings: Mapping[str, Setting]) -> Sequence[RemoteRun]:
        """Return the jobs of the workspace, newest last."""
        from .search import list_jobs

        return list_jobs()

    def list_trials(self, ref: RunRef, run_dir: Path, design: SweepDesign) -> Sequence[TrialRun]:
        """Return the runs of a sweep that Azure ML has started."""
        from .sweep import list_trials

        return list_trials(ref, run_dir, design)

    def adopt(self, id: str) -> AdoptedRun:
        """Return what a job carries of its run."""
        from .search import adopt_job

        return adopt_job(id)
