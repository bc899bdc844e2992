"""The platform's verbs; each room of this package does one part of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from gaitway_runtime.job import Job

from ...errors import UsageError
from ...findings import Finding
from ...settings.values import Setting
from ..base import Limits, Request, RunRef, StatusReport, Submission
from .options import AzuremlOptions


class AzuremlPlatform:
    """An Azure ML workspace with a compute target."""

    name = "azureml"
    limits = Limits(multi_node=True)
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
                raise UsageError(f"'{word}' means nothing on azureml", source="after --", allowed="key=value")
            found[key] = value
        return found

    def check(self, settings: Mapping[str, Setting]) -> Sequence[Finding]:
        """Look at the client, the compute and the environment."""
        from . import findings

        return findings.look(settings)

    def render(self, submission: Submission) -> Request:
        """Return the job that will be submitted.

        Raises:
            GaitwayError: Azure ML would refuse it, or accept it and let it die.
        """
        from . import rendering

        return rendering.render(submission)

    def submit(self, submission: Submission, request: Request, run_dir: Path) -> RunRef:
        """Upload the payload where it is new and submit the job.

        Raises:
            GaitwayError: Azure ML refused, or cannot be reached.
        """
        from . import sending

        return sending.send(submission, request, run_dir)

    def status(self, ref: RunRef, run_dir: Path) -> StatusReport:
        """Ask Azure ML how a job is doing."""
        from . import following

        return following.report(ref, run_dir)

    def logs(self, ref: RunRef, run_dir: Path, follow: bool) -> Iterator[str]:
        """Yield the lines of the job's log; with ``follow`` until the job ends."""
        from . import following

        return following.log(ref, run_dir, follow)

    def cancel(self, ref: RunRef, run_dir: Path) -> StatusReport:
        """Ask Azure ML to cancel a job and wait until it has."""
        from . import following

        return following.cancel(ref, run_dir)

    def fetch(self, ref: RunRef, run_dir: Path, pattern: str, into: Path) -> Sequence[Path]:
        """Copy the artifacts of the job's run."""
        from . import fetching

        return fetching.fetch(ref, run_dir, pattern, into)
