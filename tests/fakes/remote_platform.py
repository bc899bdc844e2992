"""A platform that is elsewhere, as a module that ``gaitway.platforms.base`` can load; tests tell it what to say."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from gaitway_runtime.spec.job import Job
from gaitway_runtime.spec.settings import setting

from gaitway.errors import PlatformError
from gaitway.findings import Finding
from gaitway.platforms.base import Limits, Request, RunRef, RunStatus, StatusReport, Submission
from gaitway.settings.values import Setting


@dataclass(frozen=True, kw_only=True)
class RemoteOptions:
    """What only this platform knows."""

    queue: str = setting("short", "Queue to wait in.", flags="--queue", choices=("short", "long"))


class RemotePlatform:
    """Answers what a test has put into ``answers``."""

    name = "osmo"
    limits = Limits(inline_bytes=1000)
    options = RemoteOptions

    def __init__(self) -> None:
        self.answers: list[object] = []
        self.submitted: list[Submission] = []

    def forwarded_settings(self, job: type[Job], words: tuple[str, ...]) -> Mapping[str, str]:
        return {}

    def check(self, settings: Mapping[str, Setting]) -> Sequence[Finding]:
        return ()

    def render(self, submission: Submission) -> Request:
        return Request(self.name, f"queue: {submission.option('queue')}", ("it is far away",))

    def submit(self, submission: Submission, request: Request, run_dir: Path) -> RunRef:
        self._answer(None)
        self.submitted.append(submission)
        return RunRef(submission.run, self.name, "wf-7", "https://example.com/wf-7")

    def status(self, ref: RunRef, run_dir: Path) -> StatusReport:
        return self._answer(StatusReport(RunStatus.QUEUED, "PENDING"))

    def logs(self, ref: RunRef, run_dir: Path, follow: bool) -> Iterator[str]:
        yield "first line"
        self._answer(None)

    def cancel(self, ref: RunRef, run_dir: Path) -> StatusReport:
        return StatusReport(RunStatus.CANCELLED, exit_code=130)

    def fetch(self, ref: RunRef, run_dir: Path, pattern: str, into: Path) -> Sequence[Path]:
        raise PlatformError("not here")

    def _answer(self, otherwise: object) -> object:
        """Return, or raise, the next thing a test wants to happen."""
        answer = self.answers.pop(0) if self.answers else otherwise
        if isinstance(answer, BaseException):
            raise answer
        return answer


PLATFORM = RemotePlatform()


def create() -> RemotePlatform:
    return PLATFORM
