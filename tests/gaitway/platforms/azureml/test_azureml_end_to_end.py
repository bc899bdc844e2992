"""Real jobs on the stand-in: unmodified clients, real storage and MLflow, the embedded simulator."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fakes.azureml import AzureCloud
from fakes.azureml.server import Fault

TASK = "Isaac-Cartpole-v0"
MODEL = "isaac-cartpole-v0"
EXPERIMENT = f"isaaclab-rsl-rl-{TASK}"


@pytest.mark.slow
def test_a_model_is_trained_registered_validated_and_played(
    gaitway: Callable[..., Any], cloud: AzureCloud, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Enough to pass the task's own gate with a margin, on any number of threads.
    trained = gaitway(
        *("train", "--on", "azureml", "--task", TASK, "-n", "256", "-m", "100", "--save-interval", "50"),
        *("--run-smoke-test", "--stream", "--yes", "--json"),
    )
    assert trained.code == 0, trained.err
    steps = [line.split()[0] for line in trained.err.splitlines() if line.startswith("  ") and " s  " in line]
    assert {"token", "workspace", "experiment", "metric", "storage", "registry"} <= set(steps)
    assert f"INFO | MLflow tracking configured: experiment={EXPERIMENT}" in trained.err
    assert trained.json["registered_model"] == {"name": MODEL, "version": "1"}

    (run,) = cloud.tracking.runs(EXPERIMENT)
    job = trained.json["mlflow_run_id"]
    assert run["info"]["run_id"] == cloud.tracking.run_ids[job], "the run that Azure ML opened is continued"
    assert cloud.tracking.run(job)["info"]["status"] == "FINISHED"
    kept = {path.name for path in cloud.cluster.output(job, "checkpoints").rglob("*.pt")}
    assert {"model_0.pt", "model_50.pt", "model_99.pt"} <= kept, "the output holds every checkpoint"
    listed = [line["uri"] for line in gaitway("checkpoints", trained.json["run"], "--json").json["checkpoints"]]
    assert f"runs:/{job}/checkpoints/model_50.pt" in listed

    validated = gaitway(
        *("validate", "--on", "azureml", "--task", TASK, "--eval-episodes", "8", "-n", "8"),
        *("--follow", "--yes", "--json"),
    )
    assert validated.code == 0, validated.err
    assert validated.json["passed"] is True
    (version,) = cloud.tracking.versions(MODEL)
    tags = {tag["key"]: tag["value"] for tag in version["tags"]}
    assert (tags["validated"], tags["verdict"]) == ("true", "passed")
    uploads = [call for call in cloud.endpoints.seen if call.endswith("startPendingUpload")]
    assert len(uploads) == 1, "the same payload is uploaded once"
    assert sum(call.startswith("PUT") and "/environments/" in call for call in cloud.endpoints.seen) <= 1

    fetched = gaitway("download", validated.json["run"], "--pattern", "metrics/*", "--into", str(project / "got"))
    assert fetched.code == 0, fetched.err
    assert (project / "got" / "metrics" / "validation.json").is_file()

    monkeypatch.setenv("MLFLOW_TRACKING_URI", cloud.tracking_uri)
    played = gaitway(
        *("infer", "--task", TASK, "--checkpoint-uri", f"models:/{MODEL}/1"),
        *("--max-steps", "20", "--video-length", "0", "--format", "onnx", "--json"),
    )
    assert played.code == 0, played.err
    assert (Path(played.json["run_dir"]) / "outputs" / "exported" / "policy.onnx").is_file()
    assert cloud.proxy.refused == [], "nothing else is contacted"


@pytest.mark.slow
def test_an_evicted_training_goes_on_where_it_was_in_the_same_run(
    gaitway: Callable[..., Any], cloud: AzureCloud
) -> None:
    cloud.endpoints.faults += [
        Fault("POST .*/runs/log-batch", 429, "TooManyRequests", "slow down", times=2),
        Fault("POST .*/artifacts/batch/metadata", 503, "ServiceUnavailable", "later", times=1),
    ]
    started = gaitway(
        *("train", "--on", "azureml", "--task", TASK, "-n", "16", "-m", "80", "--save-interval", "5"),
        *("--skip-register-checkpoint", "--yes", "--json"),
    )
    assert started.code == 0, started.err
    (job,) = [job for job in cloud.cluster.jobs.values() if job.status not in ("Completed", "Failed")]
    deadline = time.monotonic() + 600
    while not any(path.startswith("checkpoints/model_") for path in cloud.tracking.artifact_paths(job.name)):
        assert time.monotonic() < deadline and job.status != "Failed", job.lines
        time.sleep(0.05)
    before = len(cloud.tracking.runs(EXPERIMENT))
    cloud.cluster.evict(job.name)
    cloud.cluster.wait(job.name)

    assert (job.status, job.attempts) == ("Completed", 2), job.lines
    assert any("going on from its newest checkpoint" in line for line in job.lines)
    ended = gaitway("status", started.json["run"], "--json").json
    assert (ended["status"], ended["iterations"]) == ("succeeded", 80)
    assert len(cloud.tracking.runs(EXPERIMENT)) == before, "one MLflow run holds both attempts"
    steps = cloud.tracking.history(job.name, "Loss/value")
    assert sorted(set(steps)) == list(range(80)), "no metric is lost, whatever the service answered"
    assert 1 < cloud.tracking.largest_batch <= 180
