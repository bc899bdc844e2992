"""MLflow run of a job, as a place to send records to."""

from __future__ import annotations

import dataclasses
import logging
import re
import shlex
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..spec.checkpoint_files import old_companions
from ..spec.errors import ConfigError, GaitwayError
from ..spec.files import RUN_NOTE, database_path
from ..spec.result import write_json
from ..spec.secrets import one_line
from ..stores.artifacts import ASIDE, ArtifactFolder, local_root
from ..stores.mlflow_client import Failure, StoreFailure
from ..stores.streams import StreamLimits
from ..stores.tracking_server import TrackingServer, check_client, with_credentials
from .attempts import ATTEMPT_TAG, OWNER_TAG, RunOwner, SentBefore, Superseded, one_at_a_time
from .base import ModelVersion
from .journal import Artifact, End, Metrics, Open, Params, Record, Tags
from .limits import (
    LONGEST_PARAM,
    LONGEST_TAG,
    METRIC_NAMES_PER_RUN,
    METRICS_PER_BATCH,
    PARAMS_PER_BATCH,
    PARAMS_PER_RUN,
    chunks,
    folded_tags,
    metric_name,
    shortened,
)
from .registry import register

if TYPE_CHECKING:
    from mlflow.entities import Experiment


ATTEMPT_ID_TAG = "gaitway.attempt"
"""Tag with the id of the newest attempt at the run, which is unique in the world."""

LEASE_CHECK_S = 0.25
"""How long after a look at the newest attempt it is not looked for again [s]."""

_LIMITS = StreamLimits(attempts=2, first_wait=0.2)
"""Of a question in the sender's thread, which has a back-off of its own."""


_log = logging.getLogger(__name__)


class RunStore:
    """A run in MLflow. Every method raises what MLflow raises; :mod:`.delivery` decides what that means.

    Args:
        header: Where the run belongs.
        folder: Folder that the paths of artifacts are relative to.
        recovered: Whether the header is of a process that has died, which may have made the run already.
        owner: The process that the run belongs to; None for one that only sends what another has left.
    """

    def __init__(self, header: Open, folder: Path, *, recovered: bool = False, owner: RunOwner | None = None) -> None:
        self.header = header
        self.server = TrackingServer(with_credentials(header.tracking_uri), _LIMITS)
        self.client = self.server.client
        self._owner = owner
        self._folder = folder
        self._experiment_id = ""
        self._artifacts: ArtifactFolder | None = None
        self._recovered = recovered
        self._sent_before = SentBefore()
        self._superseded = False
        """Whether a later attempt continues the run."""
        self._lease_checked = -LEASE_CHECK_S
        self._in_doubt = False
        """Whether the last request with metrics may have arrived although it failed."""
        self._metric_names: set[str] = set()
        self._params_sent: set[str] = set()

    @property
    def run_id(self) -> str:
        """MLflow's id of the run; empty while the run could not be made."""
        return self.header.run_id or ""

    def open(self) -> Open:
        """Find the run, or make it; return the header with its id and its experiment's real name.

        Raises:
            ConfigError: The run belongs to another process that is alive, its experiment was deleted, or its artifacts
                lie where they cannot be sent from here.
        """
        with one_at_a_time(database_path(self.header.tracking_uri)):
            return self._open()

    def _open(self) -> Open:
        run = self._begun()
        self._recovered = True  # an answer that is lost on its way leaves a run that is there: not to be made twice
        if run is None:
            experiment = self._experiment()
            check_client(experiment.artifact_location, f"experiment {experiment.name}")
            run = self.client.create_run(
                experiment.experiment_id,
                run_name=self.header.name,
                tags=dict(shortened(folded_tags(self._tags()), LONGEST_TAG)),
            )
        else:
            self._take_over(run)
            experiment = self.client.get_experiment(run.info.experiment_id)
        self.header = dataclasses.replace(self.header, run_id=run.info.run_id, experiment=experiment.name)
        self._experiment_id = experiment.experiment_id
        shown = f"runs:/{run.info.run_id}"
        self._artifacts = ArtifactFolder(run.info.artifact_uri, "", self.server, shown)
        self._write_note(run.info.artifact_uri)
        if self._owner is not None:
            self.client.update_run(self.run_id, status="RUNNING")
        return self.header

    def _write_note(self, artifact_uri: str) -> None:
        """Write where the run stands in MLflow, and the folder of its artifacts where that is one of this machine."""
        note = {name: getattr(self.header, name) for name in ("run_id", "experiment", "tracking_uri")}
        folder = local_root(artifact_uri)
        write_json({**note, **({"artifacts": str(folder)} if folder else {})}, self._folder / RUN_NOTE)

    def show_alive(self) -> None:
        """Renew the owner's sign of life.

        Raises:
            Superseded: A later attempt continues the run.
        """
        self._check_lease()
        if self._owner is not None and not self.header.managed:
            self._owner = self._owner.renew()
            self.client.set_tag(self.run_id, OWNER_TAG, self._owner.text())

    def _begun(self) -> Any | None:
        """Return the run if it exists: by its id, or, where a process died before it knew the id, by its attempt.

        Raises:
            StoreFailure: It was deleted.
        """
        if self.header.run_id:
            run = self.client.get_run(self.header.run_id)
            if run.info.lifecycle_stage == "deleted":  # it can be read still, but not written
                raise StoreFailure(Failure.UNKNOWN, LookupError(f"MLflow run {self.header.run_id} was deleted"))
            return run
        if not self._recovered or not self.header.attempt:
            return None
        found = self.client.get_experiment_by_name(self.header.experiment)
        if found is None:
            return None
        condition = f"tags.`{ATTEMPT_ID_TAG}` = '{self.header.attempt}'"
        return next(iter(self.client.search_runs([found.experiment_id], condition, max_results=1)), None)

    def _take_over(self, run: Any) -> None:
        """Go on with a run: note what earlier attempts have sent, and who writes to it from now on."""
        last = RunOwner.parse(run.data.tags.get(OWNER_TAG, ""))
        if self._owner is not None and last is not None and not self.header.managed:
            mine = last.attempt == self.header.attempt or last.same_process(self._owner) or self._replaces(run)
            if not mine and run.info.status == "RUNNING" and last.alive:
                raise last.refusal(run.info.run_id)
        self._superseded = self._later_attempt(run)
        if self._owner is not None:
            self.header = dataclasses.replace(self.header, run_id=run.info.run_id)
            self._log_tags(self._tags())
            # Asked again: an earlier attempt that still runs has sent until it saw this one's tags.
            run = self.client.get_run(self.run_id)
        self._sent_before = self._looked_up(run)
        self._metric_names = set(run.data.metrics)

    def _replaces(self, run: Any) -> bool:
        """Whether the platform has started this attempt in place of the one that owns the run, alive or not."""
        job = self.header.tags.get(ATTEMPT_TAG)
        return bool(job) and run.data.tags.get(ATTEMPT_TAG) == job

    def _later_attempt(self, run: Any) -> bool:
        return bool(run.data.tags.get(ATTEMPT_ID_TAG, self.header.attempt) != self.header.attempt)

    def _check_lease(self) -> None:
        """Make sure that no later attempt continues with the run, where that was not asked a moment ago.

        Raises:
            Superseded: One does.
        """
        for _ in range(2):  # an answer that took long may be of before this process, or its machine, was frozen
            asked = time.monotonic()
            if self._owner is None or asked - self._lease_checked < LEASE_CHECK_S:
                return
            if self._later_attempt(self.client.get_run(self.run_id)):
                raise Superseded(self.run_id)
            self._lease_checked = asked

    def _tags(self) -> dict[str, str]:
        own = {ATTEMPT_ID_TAG: self.header.attempt} if self.header.attempt else {}
        owner = {OWNER_TAG: self._owner.text()} if self._owner and not self.header.managed else {}
        return {**self.header.tags, **own, **owner}

    def start_anew(self) -> None:
        """Forget the run to continue: :meth:`open` makes a new one."""
        tags = {**self.header.tags, "gaitway.resumed_from": self.run_id}
        self.header = dataclasses.replace(self.header, run_id=None, tags=tags)

    @property
    def url(self) -> str:
        """Where a person can look at the run."""
        base = self.header.tracking_uri
        if base.startswith("azureml"):
            workspace = re.sub(r"^.*?(/subscriptions/)", r"\1", base.split("?")[0])
            return f"https://ml.azure.com/runs/{self.run_id}?wsid={workspace}"
        if not base.startswith("http"):
            base = "http://127.0.0.1:5000"
        return f"{base.rstrip('/')}/#/experiments/{self._experiment_id}/runs/{self.run_id}"

    def send_values(self, records: Sequence[Record]) -> None:
        """Send metrics, parameters and tags in as few requests as the limits allow.

        The metrics of one step travel in one request, so that a step arrives whole or not at all. A step that an
        earlier attempt has sent already stays as it is.

        Raises:
            Superseded: A later attempt continues the run.
        """
        if self._in_doubt:
            self._check_lease()
            self._sent_before = self._looked_up(self.client.get_run(self.run_id))
        batches = list(self._batches(records))
        for batch in batches:
            # As late as can be: MLflow writes for whoever asks, also for a process that was frozen after its look.
            self._check_lease()
            self._in_doubt = True
            self.client.log_batch(self.run_id, metrics=batch, synchronous=True)
        self._in_doubt = False
        if not batches:
            self._check_lease()
        for record in records:
            if isinstance(record, Params):
                self._log_params(record)
            if isinstance(record, Tags):
                self._log_tags(record.values)

    def _batches(self, records: Sequence[Record]) -> Iterator[Sequence[Any]]:
        batch: list[Any] = []
        for record in records:
            metrics = self._new_metrics(record) if isinstance(record, Metrics) else []
            if batch and len(batch) + len(metrics) > METRICS_PER_BATCH:
                yield batch
                batch = []
            batch += metrics
        yield from chunks(batch, METRICS_PER_BATCH)

    def _new_metrics(self, record: Metrics) -> list[Any]:
        from mlflow.entities import Metric

        named = {metric_name(name): value for name, value in record.values.items()}
        if self.server.uri.startswith("azureml"):
            named = self._within_limit(named)
        return [
            Metric(name, value, record.time_ms, record.step)
            for name, value in named.items()
            if not self._sent_before.has(name, record.step)
        ]

    def _looked_up(self, run: Any) -> SentBefore:
        """Return what of this run's metrics the server has."""
        if self._owner is not None:
            return SentBefore(latest={metric.key: metric.step for metric in run.to_proto().data.metrics})
        return SentBefore(history=lambda name: self.client.get_metric_history(self.run_id, name))

    def _within_limit(self, named: Mapping[str, float]) -> dict[str, float]:
        """Return the metrics that the run has room for; the first that has none is named in the log."""
        kept = {}
        for name, value in named.items():
            if name not in self._metric_names and len(self._metric_names) >= METRIC_NAMES_PER_RUN:
                if "" not in self._metric_names:
                    self._metric_names.add("")
                    _log.warning(
                        "a run in Azure ML has room for %d metrics; %s is left out", METRIC_NAMES_PER_RUN, name
                    )
                continue
            self._metric_names.add(name)
            kept[name] = value
        return kept

    def send_artifact(self, record: Artifact) -> str:
        """Upload a file, or each file of a folder, and return its path among the artifacts.

        Raises:
            Superseded: A later attempt continues the run.
        """
        assert self._artifacts is not None, "the run is open"
        self._check_lease()
        path = self._folder / record.path
        spare = f"{ASIDE}/{self.header.attempt or 'later'}"
        place = record.artifact_path
        if record.rotated and not path.exists():
            return place
        for file in sorted(found for found in path.rglob("*") if found.is_file()):
            inside = file.parent.relative_to(path).as_posix()
            folder = "/".join(part for part in (record.artifact_path, inside) if part not in ("", "."))
            self._artifacts.publish(file, folder, spare)
        if not path.is_dir():
            try:
                place = self._artifacts.publish(path, record.artifact_path, spare)
            except StoreFailure:
                if record.rotated and not path.exists():
                    return place  # a newer companion has replaced it while it was sent
                raise
        if record.rotated:
            self._remove_old_companions(record.artifact_path)
        return place

    def _remove_old_companions(self, folder: str) -> None:
        """Keep the newest companions alone, where the store lets this user remove files."""
        assert self._artifacts is not None, "the run is open"
        try:
            for name in old_companions(entry.name for entry in self._artifacts.entries(folder)):
                self._artifacts.remove(f"{folder}/{name}")
        except (StoreFailure, GaitwayError) as error:
            _log.debug("older companions stay in the artifact store: %s", one_line(error))

    def send_end(self, record: End) -> None:
        """End the run, unless a later attempt continues it; one that the platform made is only marked.

        Raises:
            Superseded: A later attempt continues the run, and this is the process of an earlier one.
        """
        if self._owner is None and self._superseded:
            return
        self._check_lease()
        if self.header.managed:
            self._log_tags({"gaitway.status": record.status})
        else:
            self.client.set_terminated(self.run_id, record.status, record.time_ms)

    def register(self, name: str, artifact_path: str, tags: Mapping[str, str]) -> ModelVersion:
        """Register a folder artifact of the run as a new version of a model; see :func:`.registry.register`."""
        return register(self.server, self.run_id, name, artifact_path, tags)

    def _experiment(self) -> Experiment:
        from mlflow.exceptions import MlflowException

        name = self.header.experiment
        found = self.client.get_experiment_by_name(name)
        if found is None:
            try:
                self.client.create_experiment(name, artifact_location=self.header.artifact_location)
            except MlflowException as error:
                # another job of the same task was a moment faster
                if error.error_code != "RESOURCE_ALREADY_EXISTS":
                    raise
            found = self.client.get_experiment_by_name(name)
        if found.lifecycle_stage == "deleted":
            raise ConfigError(
                f"the MLflow experiment {name} was deleted",
                hint=_restore_command(self.header.tracking_uri, found.experiment_id),
            )
        return found

    def _log_params(self, record: Params) -> None:
        from mlflow.entities import Param

        room = PARAMS_PER_RUN - len(self._params_sent - set(record.values))
        values = list(shortened(record.values, LONGEST_PARAM))[:room]
        for batch in chunks([Param(key, value) for key, value in values], PARAMS_PER_BATCH):
            self.client.log_batch(self.run_id, params=batch, synchronous=True)
        self._params_sent.update(key for key, _ in values)

    def _log_tags(self, tags: Mapping[str, str]) -> None:
        from mlflow.entities import RunTag

        for batch in chunks(
            [RunTag(key, value) for key, value in shortened(folded_tags(tags), LONGEST_TAG)], PARAMS_PER_BATCH
        ):
            self.client.log_batch(self.run_id, tags=batch, synchronous=True)


def _restore_command(tracking_uri: str, experiment_id: str) -> str:
    """Return the command that restores an experiment in this very store, whatever store the shell names."""
    return f"MLFLOW_TRACKING_URI={shlex.quote(tracking_uri)} mlflow experiments restore --experiment-id {experiment_id}"


def now_ms() -> int:
    """Return the time as MLflow counts it [ms since 1970]."""
    return int(time.time() * 1000)
