"""MLflow server beside a job that tracks into files: what a person sees there while the job runs."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from fakes.processes import free_port
from gaitway_runtime import container
from gaitway_runtime.spec.job import TrainJob
from gaitway_runtime.spec.run_context import RunContext
from gaitway_runtime.stores.mlflow_client import open_client
from gaitway_runtime.stores.tracking_server import ensure_store
from gaitway_runtime.tracking.file_server import ShownFiles
from gaitway_runtime.tracking.file_tracker import FileTracker

REWARD = "Train/mean_reward"


def tracker(outputs: Path) -> FileTracker:
    outputs.mkdir(exist_ok=True)
    return FileTracker(TrainJob(task="Isaac-Cartpole-v0"), RunContext(run="first", run_id="abc"), outputs)


def test_files_are_shown_as_they_grow_and_anew_after_an_eviction(tmp_path: Path) -> None:
    client = open_client(ensure_store(tmp_path / "store"))
    shown = ShownFiles(tmp_path / "outputs", client)
    assert not shown.show(), "there is no job yet"
    writes = tracker(tmp_path / "outputs")
    writes.log_params({"num_envs": "16"})
    for step in range(5):
        writes.log_metrics({REWARD: float(step), "Loss/value": float("nan")}, step)
    assert shown.show()
    with (tmp_path / "outputs/metrics.jsonl").open("a") as stream:
        stream.write('{"step": 5, "ti')
    assert shown.show(), "half a line is none yet"
    (run,) = runs(client)
    assert (run.data.params, run.data.tags["gaitway.run_id"]) == ({"num_envs": "16"}, "abc")
    assert run.info.run_name == "first"

    writes = tracker(tmp_path / "outputs")  # of the next attempt, which continues at step 3
    for step in range(3, 8):
        writes.log_metrics({REWARD: 10.0 + step}, step)
    writes.set_tags({"verdict": "passed"})
    shown.show()
    (run,) = runs(client)
    points = client.get_metric_history(run.info.run_id, REWARD)
    assert [point.value for point in points] == [0.0, 1.0, 2.0, 13.0, 14.0, 15.0, 16.0, 17.0]
    assert run.data.tags["verdict"] == "passed"


def runs(client: Any) -> Any:
    experiment = client.get_experiment_by_name("isaaclab-rsl-rl-Isaac-Cartpole-v0")
    return client.search_runs([experiment.experiment_id])


def test_a_container_has_the_server_as_long_as_its_job_runs(tmp_path: Path) -> None:
    outputs, port = tmp_path / "outputs", free_port()
    tracker(outputs).log_metrics({REWARD: 4.0}, 0)
    address = f"http://127.0.0.1:{port}"
    with container.tracking_shown(outputs, {"TRACKING_PORT": str(port)}):
        asked, found = {"experiment_ids": ["1"]}, []
        deadline = time.monotonic() + 120
        while not (found and "metrics" in found[0]["data"]) and time.monotonic() < deadline:
            threading.Event().wait(0.2)
            with suppress(httpx.TransportError):
                answer = httpx.post(f"{address}/api/2.0/mlflow/runs/search", json=asked, trust_env=False)
                found = answer.json().get("runs", [])
    assert found[0]["data"]["metrics"][0]["key"] == REWARD
    with pytest.raises(httpx.TransportError):
        httpx.get(address, trust_env=False)


def test_a_job_that_reports_to_a_server_gets_none_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(container.subprocess, "Popen", lambda *words, **named: pytest.fail("a server was started"))
    for environ in ({}, {"MLFLOW_TRACKING_URI": "https://mlflow.example.com"}, {"NODE_RANK": "1"}):
        with container.tracking_shown(tmp_path, {"TRACKING_PORT": "5000" if environ else "", **environ}):
            pass
