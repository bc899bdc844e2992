"""Metrics and tags of a local store: what MLflow says of them, without importing it."""

import math
from pathlib import Path

from gaitway_runtime.spec.files import database_path
from gaitway_runtime.stores.local_history import read_history, read_tags
from gaitway_runtime.stores.mlflow_client import open_client
from gaitway_runtime.stores.tracking_server import ensure_store
from mlflow.entities import Metric


def test_metrics_are_those_that_mlflow_reads(tmp_path: Path) -> None:
    uri = ensure_store(tmp_path)
    database = database_path(uri)
    assert database is not None
    client = open_client(uri)
    run_id = client.create_run("0", tags={"seed": "3", "empty": ""}, run_name="walker").info.run_id
    assert read_tags(database, run_id) == client.get_run(run_id).data.tags
    values = [("reward", 1, 0.5), ("reward", 0, math.nan), ("loss/value", 3, math.inf), ("reward", 10, -2.25)]
    client.log_batch(run_id, metrics=[Metric(name, value, 1, step) for name, step, value in values])
    told = {name: client.get_metric_history(run_id, name) for name in client.get_run(run_id).data.metrics}
    expected = {name: sorted((point.step, point.value) for point in points) for name, points in told.items()}
    found = read_history(database, run_id)
    assert found is not None and str(found) == str({name: expected[name] for name in sorted(expected)})
    assert read_history(database, client.create_run("0").info.run_id) == {}


def test_mlflow_is_asked_about_what_cannot_be_read(tmp_path: Path) -> None:
    database = database_path(ensure_store(tmp_path))
    assert database is not None
    assert read_history(database, "unknown") is None and read_tags(database, "unknown") is None
    assert read_history(tmp_path / "none.db", "unknown") is None
    damaged = tmp_path / "damaged.db"
    damaged.write_bytes(b"SQLite format 3\x00" + b"\x00" * 50)
    assert read_tags(damaged, "unknown") is None
    assert read_history(damaged, "unknown") is None
