"""Training curves of a run: from the metrics file of a run without a tracking server, else from its reports."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from gaitway_runtime.stores import mlflow_client
from gaitway_runtime.stores.tracking_server import ensure_store

from gaitway.curves import file_curves, read_curves
from gaitway.run_handle import Run

Start = Callable[..., Run]


def write_metrics(run_dir: Path, end: str = "") -> None:
    lines = [json.dumps({"step": step, "metrics": {"Train/mean_reward": step / 2, "Loss/x": None}}) for step in (0, 1)]
    (run_dir / "outputs").mkdir(parents=True, exist_ok=True)
    (run_dir / "outputs/metrics.jsonl").write_text("\n".join(lines) + end)


def test_the_metrics_file_is_read_up_to_a_line_that_is_cut_off(tmp_path: Path) -> None:
    assert file_curves(tmp_path) == {}
    write_metrics(tmp_path, '\n{"step": 2, "metr')
    assert file_curves(tmp_path) == {"Train/mean_reward": [(0.0, 0.0), (1.0, 0.5)]}


def test_the_metrics_file_has_more_than_the_reports(start: Start) -> None:
    run = start("report=yes")
    run.wait()
    assert read_curves(run).curves["Train/mean_reward"] == [(3, 1.5)]
    write_metrics(run.run_dir)
    found = read_curves(run)
    assert (found.curves, found.note) == ({"Train/mean_reward": [(0.0, 0.0), (1.0, 0.5)]}, "")


def test_a_local_store_is_read_without_waiting_for_mlflow(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    run = start("report=yes")
    run.wait()
    client = mlflow_client.open_client(ensure_store(run.run_dir.parents[1]))
    run_id = client.create_run("0").info.run_id
    client.log_metric(run_id, "Train/mean_reward", 0.5, step=4)
    monkeypatch.setattr(mlflow_client, "open_client", lambda uri: pytest.fail("MLflow was asked"))
    found = read_curves(run, run_id)
    assert (found.curves, found.note) == ({"Train/mean_reward": [(4.0, 0.5)]}, "")
