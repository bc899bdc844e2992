"""The tracker on MLflow: opening a run, handing records to the sender, publishing checkpoints, registering models."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

from ..errors import ConfigError, GaitwayError, PlatformError
from ..job import Job, RunContext, experiment_name
from . import backlog, registry
from .attempts import managed_run_id
from .base import ModelVersion
from .client import one_line, refused, status_of
from .credentials import public_form
from .hashing import SHA256_TAG, sha256_of
from .journal import JOURNAL, Journal, JournalBusy
from .records import Artifact, End, Metrics, Open, Params, Tags
from .run_store import RunStore, now_ms
from .sender import Patience, Sender
from .server import tracking_uri_for
from .store import artifact_location, database_path

_log = logging.getLogger(__name__)


class MlflowTracker:
    """A tracked run; see :class:`~gaitway_runtime.tracking.base.Tracker`.

    Args:
        store: The run in MLflow.
        sender: What carries records there.
        folder: The job's output folder.
        patience: How long to wait for the server at the end.
    """

    def __init__(self, store: RunStore, sender: Sender, folder: Path, patience: Patience) -> None:
        self._store = store
        self._sender = sender
        self._folder = folder
        self._patience = patience
        self._closed = False

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
        return self._store.url if self.run_id else ""

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
        """Queue a file, or a folder's content, for upload below ``artifact_path``; return its URI to be.

        While the server is away since before the run was opened, the URI is the local file's.
        """
        return self._upload(path, artifact_path, {})

    def publish_checkpoint(self, path: Path, iteration: int, *, final: bool = False) -> str:
        """Queue a complete checkpoint with its SHA-256; return its URI to be.

        Args:
            path: The file; its name becomes ``model_<iteration>.pt``'s place, so name it so.
            iteration: Iteration it was made after.
            final: Whether it is the run's last one.
        """
        tags = {SHA256_TAG + path.stem: sha256_of(path), "gaitway.last_iteration": str(iteration)}
        return self._upload(path, "checkpoints/final" if final else "checkpoints", tags)

    def register_model(self, name: str, artifact_path: str, tags: Mapping[str, str]) -> ModelVersion:
        """Register the folder artifact ``artifact_path`` once everything queued has arrived.

        Raises:
            UsageError: The name is not valid.
            PlatformError: The server is away or refused.
        """
        registry.check_model_name(name)
        if not self._sender.drain(self._patience.at_end):
            raise PlatformError(
                f"model {name} could not be registered: the tracking server is away",
                hint="the checkpoint is kept and uploaded later; register it then",
            )
        return registry.register(self._store.client, self.run_id, name, artifact_path, tags)

    def close(self, status: str) -> None:
        """Send what waits, end the run as ``FINISHED``, ``FAILED`` or ``KILLED``, keep on disk what cannot be sent.

        Only the first call does anything.
        """
        if self._closed:
            return
        self._closed = True
        self._sender.add(End(status=status, time_ms=now_ms()))
        if not self._sender.drain(self._patience.when_stopped if status == "KILLED" else self._patience.at_end):
            _log.warning("tracking is still away: the rest waits in %s and is sent later", self._folder / JOURNAL)
        self._sender.stop()

    def _upload(self, path: Path, artifact_path: str, tags: Mapping[str, str]) -> str:
        path = path.resolve()
        folder = self._folder.resolve()
        shown = str(path.relative_to(folder)) if path.is_relative_to(folder) else str(path)
        self._sender.add(Artifact(path=shown, artifact_path=artifact_path, tags=dict(tags)))
        if not self.run_id:
            return path.as_uri()
        parts = ["runs:", self.run_id, artifact_path.strip("/"), "" if path.is_dir() else path.name]
        return "/".join(part for part in parts if part)


def open_tracker(
    job: Job,
    context: RunContext,
    *,
    run_id: str | None = None,
    output_dir: Path | None = None,
    patience: Patience | None = None,
) -> MlflowTracker:
    """Open the MLflow run of a job: the one the platform has made, the one to resume, or a new one.

    A server that is away does not stop the job: the run is then made, and everything sent, once it answers.
    What earlier runs beside this one could not send is sent first.

    Args:
        job: What is being done.
        context: The run it is part of.
        run_id: MLflow run to continue.
        output_dir: The job's output folder, where records wait; by default the context's, from the current folder.
        patience: How long things may wait.

    Raises:
        ConfigError: There is no usable store, or it refuses this user.
    """
    patience = patience or Patience()
    folder = (output_dir or Path(context.output_dir)).absolute()
    header = _header(job, context, run_id)
    backlog.clear_for(folder)
    journal = _journal(folder)
    try:
        store = RunStore(header, folder)
        opened = _open(store, resumed=run_id is not None and not header.managed)
    except GaitwayError:
        journal.close(delete=True)
        raise
    journal.append(store.header)
    return MlflowTracker(store, Sender(store, journal, patience, opened=opened), folder, patience)


def _journal(folder: Path) -> Journal:
    try:
        return Journal(folder / JOURNAL)
    except JournalBusy:
        raise ConfigError("another job is at work in this output folder", source=str(folder)) from None


def announce(tracker: MlflowTracker) -> None:
    """Print the lines by which a run is found in a log; their form is a contract with everyone who searches for it."""
    print(f"INFO | MLflow tracking configured: experiment={tracker.experiment}", flush=True)
    if tracker.url:
        print(f"View run at: {tracker.url}", flush=True)


def _header(job: Job, context: RunContext, run_id: str | None) -> Open:
    uri = tracking_uri_for(context)
    database = database_path(uri)
    experiment = experiment_name(job.backend, job.task)
    managed = managed_run_id()
    resumed = {"gaitway.resumed_from": run_id} if run_id and managed and managed != run_id else {}
    return Open(
        tracking_uri=public_form(uri),
        experiment=experiment,
        name=context.run,
        run_id=managed or run_id,
        artifact_location=artifact_location(database.parent, experiment) if database else None,
        managed=bool(managed),
        tags={
            "mlflow.source.name": "gaitway",
            "gaitway.run": context.run,
            "gaitway.platform": context.platform,
            "gaitway.kind": job.kind,
            "task": job.task,
            "framework": job.backend,
            **resumed,
            **context.tags,
        },
    )


def _open(store: RunStore, *, resumed: bool) -> bool:
    """Open the run if the server answers; a run to resume that is not there becomes a new one.

    Raises:
        ConfigError: The server answers and refuses.
    """
    try:
        store.open()
        store.mark_running()
    except GaitwayError:
        raise
    except Exception as error:  # noqa: BLE001 - MLflow's plug-ins raise whatever their services' libraries do
        if resumed and status_of(error) == 404:
            _log.warning("run %s is not on this tracking server: a new run is made", store.header.run_id)
            store.start_anew()
            return _open(store, resumed=False)
        if refused(error):
            raise ConfigError(
                f"the tracking server refuses this job: {one_line(error)}",
                source=store.header.tracking_uri,
                hint="check MLFLOW_TRACKING_URI and the credentials",
            ) from None
        _log.warning("the tracking server is away, the job goes on without it: %s", one_line(error))
        return False
    return True
