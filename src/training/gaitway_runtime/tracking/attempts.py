"""Attempts at a job: the one that owns its tracked run, earlier ones that were cut off, the manifest of each.

A platform that starts a job again gives all attempts one name in common, which is a tag of their MLflow runs; or it
opens the MLflow run itself, and all attempts share that one.
"""

from __future__ import annotations

import dataclasses
import datetime
import fcntl
import functools
import logging
import os
import platform
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from ..process.lifecycle import start_time
from ..spec.checkpoint_files import is_checkpoint
from ..spec.errors import ConfigError, GaitwayError, PlatformError, UsageError
from ..spec.files import artifact_location, boot_id, database_path
from ..spec.job import Job, TrainJob, experiment_name
from ..spec.result import write_json
from ..spec.run_context import RunContext
from ..spec.secrets import MASK, public_form
from ..stores.artifacts import ArtifactFolder
from ..stores.hashes import MANIFESTS
from ..stores.streams import StreamLimits
from ..stores.tracking_server import TrackingServer, outlives_job, tracking_uri_for
from .journal import Open

OWNER_TAG = "gaitway.owner"
"""Tag of a run that names its owner."""

LEASE_S = 300.0
"""How long after its last sign of life an owner on another machine still counts as alive [s]."""


@dataclass(frozen=True)
class RunOwner:
    """A process that trains a run."""

    attempt: str
    run: str
    """Name of the run in its ledger."""
    host: str
    boot: str
    """Id of the host's boot: a process id means nothing after another one."""
    pid: int
    started: str
    """The process's start time in the kernel's clock: process ids are used again."""
    renewed: float
    """Time of the last sign of life [s since 1970]."""

    @classmethod
    def this_process(cls, attempt: str, run: str) -> RunOwner:
        """Return this process as the owner of a run."""
        pid = os.getpid()
        return cls(attempt, run, platform.node(), boot_id(), pid, start_time(pid), time.time())

    @classmethod
    def parse(cls, text: str) -> RunOwner | None:
        """Return the owner that a tag's text names, or None."""
        parts = text.split("|")
        try:
            return cls(parts[0], parts[1], parts[2], parts[3], int(parts[4]), parts[5], float(parts[6]))
        except (ValueError, IndexError, TypeError):
            return None

    def text(self) -> str:
        """Return the owner as a tag's text."""
        return "|".join(str(value).replace("|", MASK) for value in asdict(self).values())

    def renew(self) -> RunOwner:
        """Return the owner with a new sign of life."""
        return replace(self, renewed=time.time())

    @property
    def alive(self) -> bool:
        """Whether the owner still runs, as far as can be told from here."""
        if self.host == platform.node() and self.boot == boot_id():
            return start_time(self.pid) == self.started != ""
        return time.time() - self.renewed < LEASE_S

    def same_process(self, other: RunOwner) -> bool:
        """Whether two owners are one process."""
        mine, theirs = (
            (self.host, self.boot, self.pid, self.started),
            (other.host, other.boot, other.pid, other.started),
        )
        return mine == theirs

    def refusal(self, run_id: str) -> ConfigError:
        """Return the error for somebody else who wants to continue the run."""
        return ConfigError(
            f"MLflow run {run_id} is being trained by '{self.run}'",
            source=f"process {self.pid} on {self.host}",
            hint=f"wait for it, or stop it: gaitway cancel {self.run}",
        )


TAKE_OVER_S = 5.0
"""How long a process that is about to take a run over, or was frozen as it did, keeps others waiting [s]."""


@contextmanager
def one_at_a_time(database: Path | None) -> Iterator[None]:
    """Let one process of this machine after the other look who owns a run and take it over.

    MLflow has no write that depends on what was read. Where a store cannot be locked, whoever comes second finds out
    by its lease.

    Args:
        database: File of the store; None for a server.
    """
    descriptor = _locked(database.parent) if database else None
    try:
        yield
    finally:
        if descriptor is not None:
            os.close(descriptor)


def _locked(folder: Path) -> int | None:
    """Return the descriptor of a locked folder, or None where it cannot be locked."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        waited_until = time.monotonic() + TAKE_OVER_S
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() < waited_until:
                    time.sleep(0.05)
                    continue
            except OSError:  # a file system without locks
                pass
            return descriptor
    return None


class Superseded(PlatformError):
    """A later attempt continues the run: this one has lost its lease and publishes nothing more."""

    def __init__(self, run_id: str) -> None:
        super().__init__(
            f"a later attempt continues MLflow run {run_id}: this one publishes nothing more, and ends",
            hint="what it has saved is kept beside it",
        )
        self._run_id = run_id

    def __reduce__(self) -> tuple[type[Superseded], tuple[str]]:
        """Return what another process makes it of."""
        return Superseded, (self._run_id,)


ATTEMPT_TAG = "gaitway.attempt_of"
"""Run tag that all attempts at one job share."""

RUN_ID_TAG = "gaitway.run_id"
"""Run tag with the id of the run as it was submitted, which is unique in the world."""

_LIMITS = StreamLimits(attempts=5, first_wait=1.0, longest_wait=8.0)
"""A training that begins anew costs more than a short wait for a server that is away."""

_MOST_EXPERIMENTS = 100
"""Experiments that are looked through for a run, the most recently changed first: a renamed one is among them."""

_log = logging.getLogger(__name__)


def managed_run_id() -> str | None:
    """Return the MLflow run that the platform has opened for this job, if it did."""
    return os.environ.get("MLFLOW_RUN_ID") or os.environ.get("AZUREML_RUN_ID")


def attempt_id() -> str:
    """Return a new id of an attempt, unique in the world; ids of later attempts sort behind it."""
    return f"{datetime.datetime.now(datetime.timezone.utc):%Y%m%dT%H%M%S}-{uuid.uuid4().hex[:8]}"


def opening(job: Job, context: RunContext, run_id: str | None) -> Open:
    """Return what a new attempt at a job opens: the run that the platform has made, the one to continue, or a new one.

    Args:
        job: The job.
        context: The run it is part of.
        run_id: MLflow run to continue.
    """
    uri = tracking_uri_for(context)
    database = database_path(uri)
    experiment = experiment_name(job.backend, job.task)
    managed = managed_run_id()
    resumed = {"gaitway.resumed_from": run_id} if run_id and managed and managed != run_id else {}
    own = {RUN_ID_TAG: context.run_id} if context.run_id else {}
    return Open(
        tracking_uri=public_form(uri),
        experiment=experiment,
        name=context.run,
        run_id=managed or run_id,
        artifact_location=artifact_location(database.parent, experiment) if database else None,
        managed=bool(managed),
        attempt=attempt_id(),
        resumed=run_id is not None and not managed,
        tags={
            "mlflow.source.name": "gaitway",
            "gaitway.run": context.run,
            **own,
            "gaitway.platform": context.platform,
            "gaitway.kind": job.kind,
            "task": job.task,
            **resumed,
            **context.tags,
        },
    )


def resumed(job: TrainJob, context: RunContext) -> TrainJob:
    """Return a training that continues from the newest checkpoint of an earlier attempt; the same job if there is none.

    A tracking server that does not answer does not prevent the training: the job then begins as it was asked to.
    """
    attempt, shared = context.tags.get(ATTEMPT_TAG), managed_run_id()
    if (not attempt and not shared) or not outlives_job(context):
        return job
    try:
        server = TrackingServer.of(context, _LIMITS)
        if shared:
            run_id = _with_checkpoint(server, server.ask(lambda: server.client.get_run(shared), f"runs:/{shared}"))
        else:
            run_id = _earlier_run(server, experiment_name(job.backend, job.task), str(attempt))
    except GaitwayError as error:
        _log.warning("earlier attempts cannot be looked for: %s", error.message)
        return job
    if run_id is None:
        return job
    _log.info("an earlier attempt at this job is MLflow run %s; continuing from its newest checkpoint", run_id)
    uri = f"runs:/{run_id}/checkpoints"
    return dataclasses.replace(job, checkpoint_uri=uri, checkpoint_sha256=None, checkpoint_mode="resume")


def _earlier_run(server: TrackingServer, experiment: str, attempt: str) -> str | None:
    """Return the newest run of an attempt that has left a checkpoint."""
    quoted = attempt.replace("'", "")
    runs = runs_wherever(server, experiment, f"tags.`{ATTEMPT_TAG}` = '{quoted}'", most=5)
    return next((run_id for run in runs if (run_id := _with_checkpoint(server, run))), None)


def runs_wherever(server: TrackingServer, experiment: str, condition: str, *, most: int) -> list[Any]:
    """Return the newest runs that meet a condition: those in an experiment, or in any other if it has none.

    Somebody may rename an experiment while a job waits for its next attempt. MLflow then knows the old name no more, or
    has a new experiment of that name. A server that does not show its other experiments has none of the run.

    Args:
        server: The tracking server.
        experiment: Name that the experiment had.
        condition: A filter of MLflow's that holds for one job alone, wherever its runs are.
        most: How many runs at most.

    Raises:
        GaitwayError: The server cannot be asked.
    """
    client = server.client
    named = server.ask(lambda: client.get_experiment_by_name(experiment), experiment, missing=lambda: None)
    found = _newest_runs(server, [named.experiment_id], condition, most) if named else []
    if found:
        return found
    question = functools.partial(client.search_experiments, max_results=_MOST_EXPERIMENTS)
    try:
        others = server.ask(question, public_form(server.uri), missing=list)  # releases before 1.28 cannot be asked
        ids = [other.experiment_id for other in others if named is None or other.experiment_id != named.experiment_id]
        return _newest_runs(server, ids, condition, most) if ids else []
    except (ConfigError, UsageError):
        return []


def _newest_runs(server: TrackingServer, experiments: list[str], condition: str, most: int) -> list[Any]:
    newest_first = ["attributes.start_time DESC"]
    question = functools.partial(server.client.search_runs, experiments, condition, 1, most, newest_first)
    return list(server.ask(question, public_form(server.uri)))


def _with_checkpoint(server: TrackingServer, run: Any) -> str | None:
    """Return the id of a run that has a checkpoint, or None."""
    run_id = str(run.info.run_id)
    folder = ArtifactFolder(run.info.artifact_uri, "", server, f"runs:/{run_id}")
    return run_id if any(is_checkpoint(entry.name) for entry in folder.entries("checkpoints")) else None


class SentBefore:
    """Metrics that the server has of a run.

    A resumed training sends only what lies beyond them: a step that stands is neither overwritten nor doubled. One who
    sends what a dead process has left asks for each step, since a later attempt may have gone further.

    Args:
        latest: Last step of each metric.
        history: Returns the points of a metric; asked once for each.
    """

    def __init__(
        self, latest: Mapping[str, int] | None = None, history: Callable[[str], Iterable[Any]] | None = None
    ) -> None:
        self._latest = latest or {}
        self._history = history
        self._steps: dict[str, set[int]] = {}

    def has(self, name: str, step: int) -> bool:
        """Whether a metric has a value at a step."""
        if self._history is None:
            return step <= self._latest.get(name, step - 1)
        if name not in self._steps:
            self._steps[name] = {point.step for point in self._history(name)}
        return step in self._steps[name]


@dataclass(frozen=True)
class Listed:
    """Entry of a manifest."""

    sha256: str
    size: int
    """Size [bytes]."""
    iteration: int


class ArtifactManifest:
    """The manifest of one attempt.

    Args:
        output_dir: The job's output folder.
        attempt: Id of the attempt; ids of later attempts sort behind it.
        numbered: Whether every version of it is a file of its own.
    """

    def __init__(self, output_dir: Path, attempt: str, *, numbered: bool) -> None:
        self._folder = output_dir / MANIFESTS
        self._attempt = attempt
        self._numbered = numbered
        self._files: dict[str, Listed] = {}

    def add(self, path: str, listed: Listed) -> Path:
        """List a file, by its path among the artifacts, and return the manifest's file."""
        self._files[path] = listed
        number = f".{len(self._files):05d}" if self._numbered else ""
        file = self._folder / f"{self._attempt}{number}.json"
        write_json({"schema": 1, "files": {name: asdict(found) for name, found in self._files.items()}}, file)
        return file
