"""The interface of a platform, and the table of all platforms.

A platform renders a job into a request, purely, and sends it. Everything a user may look at before submission is
in the request; :meth:`Platform.submit` only sends what was rendered.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from gaitway_runtime.spec.job import Job
from gaitway_runtime.spec.registry import Registry
from gaitway_runtime.spec.run_context import AzureContext, RunContext
from gaitway_runtime.spec.secrets import SECRET_URI, names_a_secret, scrub
from gaitway_runtime.spec.settings import setting

from ..errors import ConfigError, PlatformError
from ..findings import Finding as Finding
from ..payload.archive import Payload
from ..settings.resolve import Declared, Sources, declared
from ..settings.values import Secret, Setting
from ..status import RunRef as RunRef
from ..status import RunStatus as RunStatus
from ..status import StatusReport as StatusReport
from ..variations import SweepDesign
from .abilities import AdoptedRun as AdoptedRun
from .abilities import ChoosesSimulator as ChoosesSimulator
from .abilities import Executes as Executes
from .abilities import FindsRuns as FindsRuns
from .abilities import ForwardsPorts as ForwardsPorts
from .abilities import KeepsMetrics as KeepsMetrics
from .abilities import ListsTrials as ListsTrials
from .abilities import LogSelection as LogSelection
from .abilities import RemoteRun as RemoteRun
from .abilities import Restarts as Restarts
from .abilities import SelectsLogs as SelectsLogs
from .abilities import SyncsFiles as SyncsFiles
from .abilities import TellsEvents as TellsEvents
from .abilities import TrialRun as TrialRun


@dataclass(frozen=True)
class Limits:
    """What a platform can do, as data."""

    inline_bytes: int | None = None
    """Largest payload that travels inside the request [bytes]; None: no limit."""
    remote: bool = True
    """Whether it is another machine: asked before submission, left alone by Ctrl-C, set up by Terraform."""
    saves_on_cancel: bool = True
    """Whether a job that is cancelled is asked to save first."""
    sweeps: bool = False
    """Whether one submission can be a sweep: many variations of a training."""
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
    sweep: SweepDesign | None = None
    """Variations of the job, where it is a sweep."""
    locks: tuple[Path, ...] = ()
    """Locks that the job's processes keep while they live, taken by this process; of a submission to this machine."""

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


class SubmissionUnconfirmed(PlatformError):
    """A submission that got no answer: the platform may run it all the same."""


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


def _made(create: Callable[[], Platform]) -> Platform:
    """Return the platform that a row of the table makes.

    Raises:
        TypeError: It is not a platform, or one of its settings has a name that gaitway itself uses.
    """
    platform = create()
    parts = [name for name in (*Platform.__annotations__, *vars(Platform)) if not name.startswith("_")]
    lacking = [name for name in parts if not hasattr(platform, name)]
    if lacking:
        raise TypeError(f"it is not a platform: it lacks {', '.join(sorted(lacking))}")
    ours = declared([RunOptions, Sources, AzureContext]).keys()
    taken = ours & declared([platform.options]).keys()
    if taken:
        raise TypeError(f"its setting {min(taken)} has the name of one of gaitway's own")
    return platform


PLATFORMS: Registry[Platform] = Registry(
    "gaitway.platforms",
    "platform",
    {
        "local": "gaitway.platforms.local.platform:LocalPlatform",
        "osmo": "gaitway.platforms.osmo.platform:OsmoPlatform",
        "azureml": "gaitway.platforms.azureml.platform:AzuremlPlatform",
    },
    _made,
)
"""Platforms by ``--on``. A row is a function, or a class, that returns the platform when it is called."""


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """Where a job runs, under which name, and which files go with it."""

    platform: str = setting(
        "local", "Platform that runs the job.", flags="--on", env="GAITWAY_PLATFORM", choices=PLATFORMS
    )
    run_name: str | None = setting(
        None,
        "Name of the run; derived from the task and numbered when omitted.",
        flags=("--name", "--job-name"),
        metavar="NAME",
    )
    training_path: str = setting(
        "src/training",
        "Folder that is shipped with the job; the runtime is added where it lacks one.",
        flags="--training-path",
        env="TRAINING_PATH",
        metavar="DIR",
    )
    with_paths: tuple[str, ...] = setting(
        (),
        "Folder or file shipped beside it under its own name, e.g. your task package; repeatable.",
        flags="--with",
        env="GAITWAY_WITH",
        metavar="PATH",
    )
    require_signed: str | None = setting(
        None,
        "Public key, PEM; the checkpoint must lie in a release that was signed with it (gaitway release).",
        flags="--require-signed",
        env="GAITWAY_REQUIRE_SIGNED",
        metavar="KEY",
    )


def present() -> list[str]:
    """Return the names of the platforms that can be used; a plug-in that cannot is a warning."""
    return [name for name, _ in PLATFORMS.working()]


def load(name: str) -> Platform:
    """Return a platform by name.

    Raises:
        UsageError: There is none of that name.
        ConfigError: The plug-in that has it cannot be used.
    """
    return PLATFORMS.get(name, "--on")


def settings_for(job: type[Job]) -> dict[str, Declared]:
    """Return every setting that can be named for a kind of job, by key, whatever platform it is for."""
    found = declared([job, AzureContext, RunOptions, Sources])
    for _, platform in PLATFORMS.working():
        found = {**declared([platform.options]), **found}
    return found


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
