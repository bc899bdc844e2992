"""MLflow tracker: opens a run, hands its records to the sender, publishes checkpoints, registers models."""

from __future__ import annotations

import dataclasses
import logging
import os
import time
from collections.abc import Mapping
from pathlib import Path

from ..spec.checkpoint_files import CHECKPOINT_OUTPUT, sha256_of
from ..spec.errors import ConfigError, GaitwayError, PlatformError
from ..spec.job import Job
from ..spec.run_context import RunContext
from ..stores.mlflow_client import Failure, StoreFailure
from .attempts import ArtifactManifest, Listed, RunOwner, opening
from .backlog import BackgroundBacklog, left_elsewhere, sends
from .base import ModelVersion
from .delivery import Delivery, Patience, Sender
from .journal import JOURNAL, Artifact, End, Journal, JournalBusy, Metrics, Open, Params, Tags, set_aside
from .registry import check_model_name
from .run_store import RunStore, now_ms
from .store_process import START_S, ServedStore, StoreProcess

BACKLOG_WAIT_S = 5.0
"""How long the end of a run waits for what other runs have left [s]."""

_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Connection:
    """A run on its way to MLflow."""

    store: RunStore | ServedStore
    journal: Journal
    delivery: Delivery
    sender: Sender
    left: tuple[Path, ...]
    """Journals of earlier attempts at the run."""
    since: float = dataclasses.field(default_factory=time.monotonic)
    """When its opening was begun, by the monotonic clock [s]."""


class MlflowTracker:
    """A tracked run; see :class:`~gaitway_runtime.tracking.base.Tracker`.

    Args:
        connection: Journal, sender and store of the run.
        folder: The job's output folder.
        patience: How long to wait for the server at the end.
    """

    def __init__(self, connection: Connection, folder: Path, patience: Patience) -> None:
        self._connection = connection
        self._store = connection.store
        self._sender = connection.sender
        self._folder = folder
        self._patience = patience
        self._manifest = ArtifactManifest(
            folder, self._store.header.attempt, numbered=self._store.header.tracking_uri.startswith("azureml")
        )
        self._queued: dict[str, int] = {}
        """Index of each queued file among the artifacts, by its address to be."""
        self._backlog: BackgroundBacklog | None = None
        self._settled = self._closed = False

    @property
    def run_id(self) -> str:
        """MLflow's id of the run; empty as long as the server has been away."""
        return self._store.header.run_id or ""

    @property
    def experiment(self) -> str:
        """Name of the run's experiment."""
        return self._store.header.experiment

    @property
    def url(self) -> str:
        """Where a person can look at the run; empty as long as the server has been away."""
        return self._store.url if self._connection.delivery.opened else ""

    @property
    def superseded(self) -> GaitwayError | None:
        """Why nothing more is published: a later attempt continues the run; None while none does."""
        return self._connection.delivery.superseded

    def settle(self) -> None:
        """See :meth:`.base.Tracker.settle`. The records so far are dropped where the run is refused."""
        if self._settled:
            return
        self._settled = True
        try:
            _check_accepted(self._connection, self._patience)
        except GaitwayError:
            self._closed = True
            raise
        # Only now: it imports MLflow here where other runs have left something.
        self._backlog = BackgroundBacklog(self._folder.parent.parent, self._folder, self._connection.left)

    def log_metrics(self, metrics: Mapping[str, float], step: int) -> None:
        """Queue metrics; returns at once."""
        values = {name: float(value) for name, value in metrics.items()}
        self._sender.add(Metrics(values=values, step=int(step), time_ms=now_ms()))

    def set_tags(self, tags: Mapping[str, str]) -> None:
        """Queue run tags."""
        self._sender.add(Tags(values={key: str(value) for key, value in tags.items()}))

    def log_params(self, params: Mapping[str, str]) -> None:
        """Queue run parameters."""
        self._sender.add(Params(values={key: str(value) for key, value in params.items()}))

    def publish(self, path: Path, artifact_path: str) -> str:
        """Queue a file, or each file of a folder, for upload to ``artifact_path``; return its address to be.

        While the server is away since before the run was opened, the address is the local file's.
        """
        path = path.resolve()
        if not path.is_dir():
            return self._upload(path, artifact_path)
        for file in sorted(found for found in path.rglob("*") if found.is_file()):
            inside = file.parent.relative_to(path).as_posix()
            self._upload(file, _join(artifact_path, "" if inside == "." else inside))
        return self._address(path, artifact_path)

    def publish_checkpoint(self, path: Path, iteration: int, *, final: bool = False) -> str:
        """Queue a complete checkpoint, and the manifest with its SHA-256; return its address to be.

        Args:
            path: The file, named ``model_<iteration>.pt``.
            iteration: Iteration it was made after.
            final: Whether it is the run's last one.
        """
        folder = "checkpoints/final" if final else "checkpoints"
        listed = Listed(sha256_of(path), path.stat().st_size, iteration)
        manifest = self._manifest.add(f"{folder}/{path.name}", listed)
        address = self._upload(path.resolve(), folder)
        self._upload(manifest.resolve(), manifest.parent.name)
        return address

    def published(self, address: str) -> str | None:
        """Return the address under which a queued file can be fetched, or None while it has not arrived."""
        place = self._connection.delivery.places.get(self._queued.get(address, -1))
        return f"runs:/{self.run_id}/{place}" if place is not None and self.run_id else None

    def publish_companion(self, path: Path) -> None:
        """Queue a checkpoint's companion; older ones are removed from the store where it can remove files.

        Azure ML's artifacts stay for ever: there a companion is kept in the job's own output alone, if it has one.
        """
        if self._store.header.tracking_uri.startswith("azureml") and os.environ.get(CHECKPOINT_OUTPUT):
            return
        shown = str(path.resolve().relative_to(self._folder.resolve()))
        self._sender.add(Artifact(path=shown, artifact_path="checkpoints", rotated=True))

    def register_model(self, name: str, artifact_path: str, tags: Mapping[str, str]) -> ModelVersion:
        """Register the folder artifact ``artifact_path`` once everything queued has arrived.

        Raises:
            UsageError: The name is not valid.
            ConfigError: The identity is not allowed to register a model.
            PlatformError: The server is away or refused.
        """
        check_model_name(name)
        if self.superseded:
            raise self.superseded
        if not self._sender.drain(self._patience.at_end) and not self._arrived(artifact_path):
            raise PlatformError(
                f"model {name} could not be registered: the tracking server is away",
                hint="the checkpoint is kept and uploaded later; register it then",
            )
        return self._store.register(name, artifact_path, tags)

    def close(self, status: str) -> None:
        """Send what waits, end the run as ``FINISHED``, ``FAILED`` or ``KILLED``, keep on disk what cannot be sent.

        Only the first call does anything.
        """
        if self._closed:
            return
        self._closed = True
        self._sender.add(End(status=status, time_ms=now_ms()))
        delivery = self._connection.delivery
        if not self._sender.drain(self._patience.when_stopped if status == "KILLED" else self._patience.at_end):
            _log.warning("%s", self._waiting())
        self._sender.stop()
        self._connection.journal.close(delete=not delivery.count)
        if self._backlog and not delivery.count:
            self._backlog.wait(BACKLOG_WAIT_S)

    def _waiting(self) -> str:
        """Return what is to be said of records that could not be sent."""
        delivery, server = self._connection.delivery, self._store.header.tracking_uri
        refusal = delivery.refusal
        if isinstance(refusal, StoreFailure) and refusal.kind is Failure.UNKNOWN:
            return (
                f"{server} does not know MLflow run {self.run_id} any more: {delivery.count} records wait in "
                f"{self._folder / JOURNAL}; gaitway sync --recreate makes the run anew"
            )
        away = "there is no room for the tracking store" if delivery.no_room else "tracking is still away"
        return (
            f"{away}: {delivery.count} records wait for {server} in {self._folder / JOURNAL}; "
            f"gaitway sync sends them ({delivery.reason})"
        )

    def _arrived(self, artifact_path: str) -> bool:
        """Whether every file that was queued for a folder has arrived."""
        places = self._connection.delivery.places
        wanted = [index for address, index in self._queued.items() if f"/{artifact_path}/" in address]
        return bool(wanted and self.run_id) and all(index in places for index in wanted)

    def _upload(self, path: Path, artifact_path: str) -> str:
        folder = self._folder.resolve()
        shown = str(path.relative_to(folder)) if path.is_relative_to(folder) else str(path)
        address = self._address(path, artifact_path)
        self._queued[address] = self._sender.add(Artifact(path=shown, artifact_path=artifact_path))
        return address

    def _address(self, path: Path, artifact_path: str) -> str:
        if not self.run_id:
            return path.as_uri()
        return _join("runs:", self.run_id, artifact_path.strip("/"), "" if path.is_dir() else path.name)


def open_tracker(
    job: Job,
    context: RunContext,
    *,
    run_id: str | None = None,
    output_dir: Path | None = None,
    patience: Patience | None = None,
    process: StoreProcess | None = None,
    wait: bool = True,
) -> MlflowTracker:
    """Open the MLflow run of a job: the one the platform has made, the one to resume, or a new one.

    A server that is away or slow does not hold up the job: the run is then made, and everything sent, once it answers.
    Records that earlier attempts at this run left unsent go first; those of other runs are sent in the background.

    Args:
        job: The job.
        context: The run it is part of.
        run_id: MLflow run to continue.
        output_dir: The job's output folder, where records wait; by default the context's, from the current folder.
        patience: How long things may wait.
        process: A process that has begun to import MLflow.
        wait: Whether to wait for the answer; :meth:`MlflowTracker.settle` does so later. A run that is continued is
            always waited for: a new one is made where it is unknown.

    Raises:
        ConfigError: There is no usable store, or it refuses this user, or the run belongs to another process.
    """
    patience = patience or Patience()
    folder = (output_dir or Path(context.output_dir)).absolute()
    header = opening(job, context, run_id)
    left = _left_behind(folder, header.run_id)
    connection = _connect(header, folder, left, patience, process)
    if header.resumed and _unknown(connection, patience):
        connection = _made_anew(connection, folder, left, patience, process)
    tracker = MlflowTracker(connection, folder, patience)
    if wait or header.run_id:
        tracker.settle()
    return tracker


def _connect(
    header: Open, folder: Path, left: list[Path], patience: Patience, process: StoreProcess | None
) -> Connection:
    journal = _journal(folder)
    try:
        store = _store(header, folder, process)
    except GaitwayError:
        journal.close(delete=True)
        raise
    journal.append(header, durable=True)
    delivery, apart = Delivery(store, journal, patience), tuple(left)
    before = sends(left, header.run_id) if left else lambda: True
    sender = Sender(delivery, patience, before=before, alive=store.show_alive)
    return Connection(store, journal, delivery, sender, apart)


def _store(header: Open, folder: Path, process: StoreProcess | None) -> RunStore | ServedStore:
    """Return the run's store: in the process that was started for it, else in this one."""
    owner = RunOwner.this_process(header.attempt, header.name)
    if process is not None and process.uri == header.tracking_uri:
        return ServedStore(process, header, folder, owner)
    return RunStore(header, folder, owner=owner)


def _wait_opened(connection: Connection, patience: Patience) -> bool:
    """Wait until the run is open or its opening has failed, and return whether it is open."""
    # The process has to import MLflow first; the store is on this machine.
    longest = patience.start + (START_S if isinstance(connection.store, ServedStore) else 0.0)
    return connection.sender.wait_opened(max(0.0, connection.since + longest - time.monotonic()))


def _unknown(connection: Connection, patience: Patience) -> bool:
    """Whether the server answers that it has no run of this id."""
    refusal = None if _wait_opened(connection, patience) else connection.delivery.refusal
    return isinstance(refusal, StoreFailure) and refusal.kind is Failure.UNKNOWN


def _made_anew(
    connection: Connection, folder: Path, left: list[Path], patience: Patience, process: StoreProcess | None
) -> Connection:
    """Return a new run in place of one that is unknown."""
    unknown, refusal = connection.store.header.run_id, connection.delivery.refusal
    _close(connection)
    _log.warning("run %s is not on this tracking server (%s): a new run is made", unknown, refusal)
    connection.store.start_anew()
    header = dataclasses.replace(connection.store.header, resumed=False)
    return _connect(header, folder, left, patience, process)


def _check_accepted(connection: Connection, patience: Patience) -> None:
    """Wait until the run is open, or its server is known to be away.

    Raises:
        ConfigError: The server answers and refuses this job.
    """
    refusal = None if _wait_opened(connection, patience) else connection.delivery.refusal
    if isinstance(refusal, GaitwayError):
        _close(connection)
        raise refusal
    if isinstance(refusal, StoreFailure) and _refuses(refusal):
        _close(connection)
        raise ConfigError(
            f"the tracking server refuses this job: {refusal}",
            source=connection.store.header.tracking_uri,
            hint="check MLFLOW_TRACKING_URI and the credentials",
        )


def _close(connection: Connection) -> None:
    connection.sender.stop()
    connection.journal.close(delete=True)


def _refuses(failure: StoreFailure) -> bool:
    """Whether a server answers before the job begins, and does not accept it; later only MLflow's own word counts."""
    return failure.kind is not Failure.AWAY or failure.status in (400, 404, 405, 409, 413, 422, 501)


def _left_behind(folder: Path, run_id: str | None) -> list[Path]:
    """Return the journals that earlier attempts at a run have left, the oldest first.

    Raises:
        ConfigError: One of them is at work still, or another job is in this output folder.
    """
    try:
        left = set_aside(folder)
    except JournalBusy:
        raise ConfigError("another job is at work in this output folder", source=str(folder)) from None
    return left if run_id is None else left + left_elsewhere(folder, run_id)


def _journal(folder: Path) -> Journal:
    try:
        return Journal(folder / JOURNAL)
    except JournalBusy:
        raise ConfigError("another job is at work in this output folder", source=str(folder)) from None
    except OSError as error:
        raise ConfigError(
            f"the job's records cannot be kept in its output folder: {error.strerror}", source=str(folder)
        ) from None


def _join(*parts: str) -> str:
    return "/".join(part for part in parts if part)
