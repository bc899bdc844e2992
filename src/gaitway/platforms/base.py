"""What a platform is.

A platform renders a job into a request, purely, and sends it. Everything a user may look at before submission is
in the request; :meth:`Platform.submit` only sends what was rendered.
"""

from __future__ import annotations

import enum
import importlib
import importlib.util
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from gaitway_runtime.job import Job, RunContext
from gaitway_runtime.tracking.credentials import SECRET_URI
from gaitway_runtime.tracking.redaction import names_a_secret, scrub

from ..errors import ConfigError, UsageError, nearest
from ..findings import Finding as Finding
from ..payload.manifest import Payload
from ..settings.values import Secret, Setting

PLATFORMS: dict[str, str] = {
    "local": "gaitway.platforms.local",
    "osmo": "gaitway.platforms.osmo",
    "azureml": "gaitway.platforms.azureml",
}
"""Platform modules by ``--on``, imported when asked for. Each offers ``create()``."""


class RunStatus(str, enum.Enum):
    """One vocabulary of states for every platform."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    UNKNOWN = "unknown"

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen by itself."""
        return self in (RunStatus.SUCCEEDED, RunStatus.FAILED, RunStatus.CANCELLED)


@dataclass(frozen=True)
class StatusReport:
    """What a platform says of a run now."""

    status: RunStatus
    word: str = ""
    """The platform's own word for it."""
    detail: str = ""
    """One sentence: why it failed, what it waits for."""
    exit_code: int | None = None
    result: Mapping[str, Any] | None = None
    """The run's ``result.json``, where the platform can read it."""


@dataclass(frozen=True)
class Limits:
    """What a platform can do, as data."""

    inline_bytes: int | None = None
    """Largest payload that travels inside the request [bytes]; None: no limit."""
    follow_logs: bool = True
    multi_node: bool = False
    remote: bool = True
    """Whether it is another machine: asked before submission, left alone by Ctrl-C, set up by Terraform."""
    secrets: bool = False
    """Whether a secret can be handed to a job without being written into its request."""


@dataclass(frozen=True)
class Submission:
    """Everything :meth:`Platform.render` needs, resolved: no default is looked up after this."""

    run: str
    job: Job
    context: RunContext
    settings: Mapping[str, Setting]
    """Every setting with its origin, the platform's own options included, by key."""
    payload: Payload
    forwarded: tuple[str, ...] = ()
    """What the user wrote after ``--``."""

    def option(self, key: str) -> Any:
        """Return the value of a setting, or None where there is none of that key."""
        found = self.settings.get(key)
        return found.value if found else None

    def secrets(self) -> dict[str, Secret]:
        """Return what the job needs and no document may hold, by the runtime's environment variable."""
        whole = self.settings["checkpoint_uri"].whole if "checkpoint_uri" in self.settings else None
        return {SECRET_URI: whole} if whole else {}


@dataclass(frozen=True)
class Request:
    """What will be sent, whole: ``--dry-run`` prints it and goldens compare it.

    ``body`` is the platform's own document as text (a workflow, a job file, a process). ``notes`` are sentences
    the user should see (a payload verdict, a route that was chosen and why).
    """

    platform: str
    body: str
    notes: tuple[str, ...] = ()
    data: Mapping[str, Any] = field(default_factory=dict)
    """What ``submit`` needs beside the body; JSON values, no secrets."""


@dataclass(frozen=True)
class RunRef:
    """A run on a platform: our name for it, the platform's own id, and where to look at it."""

    name: str
    platform: str
    id: str
    url: str | None = None


class Platform(Protocol):
    """One place where jobs run."""

    name: str
    limits: Limits
    options: type[Any]
    """Dataclass of this platform's own settings, declared with ``setting()`` like a job's."""

    def forwarded_settings(self, job: type[Job], words: tuple[str, ...]) -> Mapping[str, str]:
        """Return the settings, by key, that a user named after ``--`` in the platform's own way.

        Raises:
            UsageError: What stands there cannot be read.
        """
        ...

    def check(self, settings: Mapping[str, Setting]) -> Sequence[Finding]:
        """Look, read-only, whether the platform can be used; never raises for what it finds."""
        ...

    def render(self, submission: Submission) -> Request:
        """Turn a submission into the request. Pure: no network, no clock, no tool, nothing written.

        Raises:
            GaitwayError: The request would be refused; the error says by whom and why.
        """
        ...

    def submit(self, submission: Submission, request: Request, run_dir: Path) -> RunRef:
        """Send the request. The only method that changes the world.

        Args:
            submission: What was asked.
            request: What :meth:`render` returned for it.
            run_dir: The run's folder in the ledger, for files the platform wants to keep.
        """
        ...

    def status(self, ref: RunRef, run_dir: Path) -> StatusReport:
        """Ask how a run is doing."""
        ...

    def logs(self, ref: RunRef, run_dir: Path, follow: bool) -> Iterator[str]:
        """Yield log lines without their newline; with ``follow``, until the run ends."""
        ...

    def cancel(self, ref: RunRef, run_dir: Path) -> StatusReport:
        """Ask a run to stop and return what became of it. A run that already ended is no error."""
        ...

    def fetch(self, ref: RunRef, run_dir: Path, pattern: str, into: Path) -> Sequence[Path]:
        """Copy the run's output files that match ``pattern`` into a folder and return their paths."""
        ...


def present() -> list[str]:
    """Return the names of the platforms that are part of this release."""
    return [name for name, module in PLATFORMS.items() if importlib.util.find_spec(module)]


def load(name: str) -> Platform:
    """Return a platform by name.

    Raises:
        UsageError: There is none of that name.
        ConfigError: It is not part of this release.
    """
    if name not in PLATFORMS:
        close = nearest(name, PLATFORMS, 1)
        raise UsageError(
            f"unknown platform '{name}'",
            source="--on",
            allowed=", ".join(PLATFORMS),
            hint=f"did you mean {close}?" if close else None,
        )
    if name not in present():
        raise ConfigError(f"platform {name} is not part of this release", source="--on", allowed=", ".join(present()))
    module = importlib.import_module(PLATFORMS[name])
    platform: Platform = module.create()
    return platform


def check_secrets(platform: Platform, submission: Submission) -> None:
    """Refuse a job whose secrets would be written into its request or its record.

    Raises:
        ConfigError: The checkpoint's address holds a credential and the platform is not this machine, or one was
            given after ``--``.
    """
    if submission.secrets() and not platform.limits.secrets:
        raise ConfigError(
            f"the checkpoint URI holds a credential, which a job on {platform.name} would have to write down",
            source=str(submission.settings["checkpoint_uri"].origin),
            allowed="the https:// address without its query (read with the job's Entra ID identity), or runs:/...",
            hint="give the job's identity the role Storage Blob Data Reader on the storage account",
        )
    for word in submission.forwarded:
        name = word.partition("=")[0]
        if scrub(word) != word or ("=" in word and names_a_secret(name)):
            raise ConfigError(
                f"{name} holds a credential, which would be written into the request and the run's record",
                source="after --",
                hint="store it on the platform and name it there; on OSMO: osmo credential set, then --credential",
            )
