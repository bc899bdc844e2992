"""The platform's verbs; each room of this package does one part of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from gaitway_runtime.job import Job

from ...findings import Finding
from ...settings.values import Setting
from ..base import Limits, Request, RunRef, StatusReport, Submission
from .delivery import INLINE_LIMIT
from .options import OsmoOptions


class OsmoPlatform:
    """A cluster that NVIDIA OSMO manages."""

    name = "osmo"
    limits = Limits(inline_bytes=INLINE_LIMIT, multi_node=True)
    options: type[Any] = OsmoOptions

    def forwarded_settings(self, job: type[Job], words: tuple[str, ...]) -> Mapping[str, str]:
        """Return the settings that a user named as template variables: ``azure_resource_group=...`` and the like."""
        if not words:
            return {}
        from . import rendering

        return rendering.settings_named(words, job)

    def check(self, settings: Mapping[str, Setting]) -> Sequence[Finding]:
        """Look at the ``osmo`` command, its login, the pool and the storage."""
        from . import findings

        return findings.look(settings)

    def render(self, submission: Submission) -> Request:
        """Return the workflow that will be submitted.

        Raises:
            GaitwayError: OSMO would refuse it, or accept it and let it die.
        """
        from . import rendering

        return rendering.render(submission)

    def submit(self, submission: Submission, request: Request, run_dir: Path) -> RunRef:
        """Deliver the payload and submit the workflow.

        Raises:
            GaitwayError: OSMO refused, or cannot be reached.
        """
        from . import sending

        return sending.send(submission, request, run_dir)

    def status(self, ref: RunRef, run_dir: Path) -> StatusReport:
        """Ask OSMO how a workflow is doing."""
        from . import following

        return following.report(ref.id)

    def logs(self, ref: RunRef, run_dir: Path, follow: bool) -> Iterator[str]:
        """Yield the log; with ``follow`` over reconnections until the workflow ends."""
        from . import following

        return following.follow(ref.id) if follow else following.log(ref.id)

    def cancel(self, ref: RunRef, run_dir: Path) -> StatusReport:
        """Ask OSMO to cancel a workflow, and look whether it does.

        Raises:
            PlatformError: It does not.
        """
        from . import following

        return following.cancel(ref.id)

    def fetch(self, ref: RunRef, run_dir: Path, pattern: str, into: Path) -> Sequence[Path]:
        """Copy output files from object storage, or from the run's MLflow artifacts."""
        from . import fetching

        return fetching.fetch(ref, run_dir, pattern, into)
