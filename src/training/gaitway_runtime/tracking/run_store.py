"""One MLflow run as a place to send records to."""

from __future__ import annotations

import dataclasses
import os
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from ..errors import ConfigError
from ..result import write_json
from .client import open_client
from .credentials import public_form
from .records import RUN_NOTE, Artifact, End, Metrics, Open, Params, Record, Tags

if TYPE_CHECKING:
    from mlflow.entities import Experiment

METRICS_PER_BATCH = 180
"""Azure ML refuses batches above 200 metrics (mlflow issue 2441)."""
PARAMS_PER_BATCH = 100
"""MLflow's own limit for parameters, and for tags, of one batch."""
PARAMS_PER_RUN = 200
"""Azure ML's limit for a run (azure-sdk-for-python issue 35685)."""
LONGEST_PARAM = 500
LONGEST_TAG = 5000
"""Longest values that the stores in use all take [characters]; longer ones are cut."""

T = TypeVar("T")


class RunStore:
    """A run in MLflow. Every method raises what MLflow raises; :mod:`.sender` decides what that means.

    Args:
        header: Where the run belongs.
        folder: Folder that the paths of artifacts are relative to.
    """

    def __init__(self, header: Open, folder: Path) -> None:
        self.header = header
        self.client = open_client(_with_credentials(header.tracking_uri))
        self._folder = folder
        self._experiment_id = ""
        self._params_sent: set[str] = set()

    @property
    def run_id(self) -> str:
        """MLflow's id of the run; empty while the run could not be made."""
        return self.header.run_id or ""

    def open(self) -> Open:
        """Find the run, or make it; return the header with its id and its experiment's real name."""
        if self.header.run_id:
            run = self.client.get_run(self.header.run_id)
            experiment = self.client.get_experiment(run.info.experiment_id)
            self._log_tags(self.header.tags)
        else:
            experiment = self._experiment()
            run = self.client.create_run(
                experiment.experiment_id, run_name=self.header.name, tags=dict(_short(self.header.tags, LONGEST_TAG))
            )
        self.header = dataclasses.replace(self.header, run_id=run.info.run_id, experiment=experiment.name)
        self._experiment_id = experiment.experiment_id
        names = ("run_id", "experiment", "tracking_uri")
        write_json({name: getattr(self.header, name) for name in names}, self._folder / RUN_NOTE)
        return self.header

    def mark_running(self) -> None:
        """Say that the run is being worked on, also where an earlier process ended it."""
        self.client.update_run(self.run_id, status="RUNNING")

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
        """Send metrics, parameters and tags in as few requests as the limits allow."""
        from mlflow.entities import Metric

        metrics = [
            Metric(_metric_name(name), value, record.time_ms, record.step)
            for record in records
            if isinstance(record, Metrics)
            for name, value in record.values.items()
        ]
        for batch in _chunks(metrics, METRICS_PER_BATCH):
            self.client.log_batch(self.run_id, metrics=batch, synchronous=True)
        for record in records:
            if isinstance(record, Params):
                self._log_params(record)
            if isinstance(record, Tags):
                self._log_tags(record.values)

    def send_artifacts(self, records: Sequence[Record]) -> None:
        """Upload files, or the content of folders, and then set the tags that speak of them."""
        for record in records:
            if isinstance(record, Artifact):
                path = self._folder / record.path
                send = self.client.log_artifacts if path.is_dir() else self.client.log_artifact
                send(self.run_id, str(path), record.artifact_path or None)
                self._log_tags(record.tags)

    def send_end(self, records: Sequence[Record]) -> None:
        """End the run; a run that the platform made is only marked, the platform ends it."""
        for record in records:
            if isinstance(record, End) and self.header.managed:
                self._log_tags({"gaitway.status": record.status})
            elif isinstance(record, End):
                self.client.set_terminated(self.run_id, record.status, record.time_ms)

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
                hint=f"mlflow experiments restore --experiment-id {found.experiment_id}",
            )
        return found

    def _log_params(self, record: Params) -> None:
        from mlflow.entities import Param

        room = PARAMS_PER_RUN - len(self._params_sent - set(record.values))
        values = list(_short(record.values, LONGEST_PARAM))[:room]
        for batch in _chunks([Param(key, value) for key, value in values], PARAMS_PER_BATCH):
            self.client.log_batch(self.run_id, params=batch, synchronous=True)
        self._params_sent.update(key for key, _ in values)

    def _log_tags(self, tags: Mapping[str, str]) -> None:
        from mlflow.entities import RunTag

        for batch in _chunks([RunTag(key, value) for key, value in _short(tags, LONGEST_TAG)], PARAMS_PER_BATCH):
            self.client.log_batch(self.run_id, tags=batch, synchronous=True)


def _with_credentials(tracking_uri: str) -> str:
    """Return the URI that the environment names, with the credentials in it, if it is the same store."""
    given = os.environ.get("MLFLOW_TRACKING_URI", "")
    return given if public_form(given) == tracking_uri else tracking_uri


def now_ms() -> int:
    """Return the time as MLflow counts it [ms since 1970]."""
    return int(time.time() * 1000)


def _metric_name(name: str) -> str:
    """Return a name that MLflow takes: of its characters, and a plain path if it has slashes."""
    parts = re.sub(r"[^\w\-. :/]", "_", name, flags=re.ASCII).split("/")
    return "/".join(part for part in parts if part not in ("", ".", "..")) or "_"


def _short(values: Mapping[str, str], longest: int) -> Iterator[tuple[str, str]]:
    for key, value in values.items():
        text = str(value)
        yield key, text if len(text) <= longest else text[: longest - 3] + "..."


def _chunks(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]
