"""The whole way on the stand-in: a real training in a task, found again, exported on the cluster, fetched back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fakes.mlflow_server import MlflowServer, running
from fakes.osmo import OsmoService, Pod
from fakes.osmo.service import LONGEST_S

TASK = ("--task", "Isaac-Cartpole-v0", "--num-gpus", "0")


@pytest.fixture(scope="module")
def tracking(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowServer]:
    with running(tmp_path_factory.mktemp("mlflow")) as server:
        yield server


@pytest.fixture(autouse=True)
def cluster(service: OsmoService, tracking: MlflowServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tasks really run, with this Python as their image, and reach the tracking server."""
    service.cluster.runner = Pod.run
    service.cluster.image_environment = {"GAITWAY_REQUIREMENTS": "skip", "OMP_NUM_THREADS": "1"}
    monkeypatch.setenv("MLFLOW_TRACKING_URI", tracking.url)
    monkeypatch.delenv("TRAINING_PATH")


@pytest.mark.slow
def test_a_training_becomes_files(service: OsmoService, gaitway: Any, project: Path) -> None:
    storage = ("--storage-uri", "s3://bucket/robots")
    trained = gaitway("train", "--on", "osmo", *TASK, *storage, "-n", "32", "-m", "3", "--follow", "--json")
    assert trained.code == 0, trained.err
    run = trained.json
    assert (run["status"], run["iterations"]) == ("succeeded", 3)

    uri = run["final_checkpoint"]["uri"]
    assert uri.startswith(f"runs:/{run['mlflow_run_id']}/checkpoints/final/model_")
    assert f"runs:/{run['mlflow_run_id']}/checkpoints/" in gaitway("checkpoints", run["run"]).out

    words = ("--checkpoint-uri", f"{run['run']}@latest", "-n", "2", "--max-steps", "10", "--video-length", "0")
    inferred = gaitway("infer", "--on", "osmo", *TASK, *storage, *words, "--follow", "--json")
    assert inferred.code == 0, inferred.err
    assert (inferred.json["status"], inferred.json["passed"]) in (("succeeded", True), ("succeeded", None))
    done = gaitway("download", inferred.json["run"], "--into", "here")
    assert done.code == 0, done.err
    for name in ("exported/policy.onnx", "exported/policy.pt", "metrics/onnx_metrics.json", "metrics/jit_metrics.json"):
        assert (project / "here" / name).stat().st_size > 0


@pytest.mark.slow
def test_an_evicted_training_goes_on_in_the_same_run(service: OsmoService, gaitway: Any, project: Path) -> None:
    service.cluster.max_retry, service.cluster.log_lines_per_s = 1, 1000.0  # no line comes long after its time
    started = gaitway("train", "--on", "osmo", *TASK, "-n", "16", "-m", "120", "--save-interval", "20", "--json")
    assert started.code == 0, started.err
    (workflow,) = service.workflows.values()
    with workflow.changed:
        begun = workflow.changed.wait_for(
            # The first is told before it is in MLflow, where the next attempt looks for it; by the second it is there.
            lambda: sum("::gaitway-checkpoint::" in line for line in workflow.lines) > 1,
            LONGEST_S,
        )
    assert begun, workflow.lines
    service.evict(workflow.id)
    service.wait(workflow.id)
    ended = gaitway("status", started.json["run"], "--json").json
    assert (ended["status"], ended["iterations"]) == ("succeeded", 120), workflow.lines
    runs = {line.rpartition("/runs/")[2] for line in workflow.lines if "View run at" in line}
    assert runs == {ended["mlflow_run_id"]}
    assert workflow.tasks[0].retry_id == 1
    (project.parent / f"gaitway-home/runs/{started.json['run']}/ended.json").unlink()
    listed = gaitway("checkpoints", started.json["run"], "--json").json["checkpoints"]
    assert len(listed) > 1
    assert {checkpoint["uri"].split("/")[1] for checkpoint in listed} == runs
    fetched = gaitway("download", started.json["run"], "--pattern", "checkpoints/final/*", "--into", "here")
    assert fetched.code == 0, fetched.err
    assert list(project.glob("here/checkpoints/final/model_*.pt"))
