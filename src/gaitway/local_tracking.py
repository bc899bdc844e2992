"""Runs that no tracking server knows, written into the local MLflow store for its UI."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from gaitway_runtime.spec import job_document
from gaitway_runtime.spec.errors import GaitwayError
from gaitway_runtime.spec.files import METRICS_FILE, artifact_location
from gaitway_runtime.spec.job import experiment_name
from gaitway_runtime.spec.registry import ForeignError, call_foreign
from gaitway_runtime.spec.result import write_json

from .curves import Curve, file_curves
from .ledger import Ledger, RunRecord, read_document

if TYPE_CHECKING:
    from mlflow.entities import Metric
    from mlflow.tracking import MlflowClient

IMPORT_FILE = "imported.json"
"""Note in a run's folder of its run in the local store, and how much of its metrics is there."""

BATCH = 1000
"""Values in one request: MLflow takes no more."""


def import_runs(ledger: Ledger, tracking_uri: str) -> list[str]:
    """Write the metrics files of this folder's runs into a store; return the names of the runs that had news.

    Args:
        ledger: The runs.
        tracking_uri: The local store.

    Raises:
        GaitwayError: The store cannot be written.
    """
    from gaitway_runtime.stores.mlflow_client import open_client

    records, _ = ledger.all()
    waiting = [record for record in records if _has_news(ledger.run_dir(record.name))]
    if not waiting:
        return []
    client = open_client(tracking_uri)
    try:
        names = call_foreign(lambda: [_import(client, ledger, record) for record in waiting])
    except ForeignError as error:
        raise GaitwayError(f"metrics files cannot be written into the store: {error}", source=tracking_uri) from None
    return names


def _has_news(run_dir: Path) -> bool:
    try:
        size = (run_dir / "outputs" / METRICS_FILE).stat().st_size
    except OSError:
        return False
    return size != (read_document(run_dir, IMPORT_FILE) or {}).get("size")


def _import(client: MlflowClient, ledger: Ledger, record: RunRecord) -> str:
    """Write the metrics of a run anew and return its name."""
    run_dir = ledger.run_dir(record.name)
    size = (run_dir / "outputs" / METRICS_FILE).stat().st_size
    known = read_document(run_dir, IMPORT_FILE) or {}
    if known.get("run_id"):
        client.delete_run(known["run_id"])
    run_id = _create(client, ledger, record)
    values = _values(file_curves(run_dir))
    while batch := list(itertools.islice(values, BATCH)):
        client.log_batch(run_id, metrics=batch, synchronous=True)
    ended = ledger.ended(record.name)
    if ended is not None:
        client.set_terminated(run_id, "FINISHED" if ended.status.value == "succeeded" else "FAILED")
    write_json({"run_id": run_id, "size": size}, run_dir / IMPORT_FILE)
    return record.name


def _create(client: MlflowClient, ledger: Ledger, record: RunRecord) -> str:
    """Make a run in the store and return its id."""
    experiment, tags = record.experiment, {"gaitway.run": record.name, "task": record.task}
    try:
        described, context = job_document.load(ledger.run_dir(record.name) / "job.json")
        experiment = experiment or experiment_name(described.backend, described.task)
        tags["gaitway.run_id"] = context.run_id
    except GaitwayError:
        experiment = experiment or record.task
    found = client.get_experiment_by_name(experiment)
    place = artifact_location(ledger.home, experiment)
    id = found.experiment_id if found else client.create_experiment(experiment, artifact_location=place)
    tags["gaitway.platform"] = record.platform
    return str(client.create_run(id, run_name=record.name, tags=tags).info.run_id)


def _values(curves: dict[str, Curve]) -> Iterator[Metric]:
    from mlflow.entities import Metric

    for name, points in curves.items():
        for step, value in points:
            yield Metric(key=name, value=value, timestamp=int(step), step=int(step))
