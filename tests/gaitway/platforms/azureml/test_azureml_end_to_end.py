"""Real jobs on the stand-in: unmodified clients, real storage and MLflow, the embedded simulator."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fakes import azureml
from fakes.azureml import AzureCloud, colleagues
from fakes.azureml.server import Fault
from gaitway_runtime.fetch import fetch

TASK = "Isaac-Cartpole-v0"
MODEL = "isaac-cartpole-v0"
EXPERIMENT = f"isaaclab-rsl-rl-{TASK}"


@pytest.fixture(scope="module")
def cloud_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AzureCloud]:
    """A workspace of this file's own, in which nobody has trained or registered anything before."""
    with azureml.running(tmp_path_factory.mktemp("azure")) as found:
        yield found


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
    while not any(path.startswith("checkpoints/model_") for path in cloud.tracking.artifacts.paths(job.name)):
        assert time.monotonic() < deadline and job.status != "Failed", job.lines
        time.sleep(0.05)
    before = len(cloud.tracking.runs(EXPERIMENT))
    cloud.cluster.evict(job.name)
    cloud.cluster.wait(job.name)

    assert (job.status, job.attempts) == ("Completed", 2), job.lines
    assert any("continuing from its newest checkpoint" in line for line in job.lines)
    assert not any("has no companion" in line or "is not used" in line for line in job.lines), "the resume is exact"
    assert not [path for path in cloud.tracking.artifacts.paths(job.name) if "/state_" in path], "kept once, elsewhere"
    assert len(list(cloud.cluster.output(job.name, "checkpoints").glob("state_*"))) <= 2
    ended = gaitway("status", started.json["run"], "--json").json
    assert (ended["status"], ended["iterations"]) == ("succeeded", 80)
    assert len(cloud.tracking.runs(EXPERIMENT)) == before, "one MLflow run holds both attempts"
    steps = cloud.tracking.history(job.name, "Loss/value")
    assert sorted(set(steps)) == list(range(80)), "no metric is lost, whatever the service answered"
    assert 1 < cloud.tracking.largest_batch <= 180


@pytest.mark.slow
def test_a_pipeline_trains_judges_exports_and_registers(gaitway: Callable[..., Any], cloud: AzureCloud) -> None:
    ran = gaitway(
        *("ship", "--on", "azureml", "--task", TASK, "-n", "256", "-m", "60", "--eval-episodes", "20", "--format"),
        *("onnx", "--max-steps", "5", "--video-length", "0", "--name", "shipped", "--follow", "--yes", "--json"),
    )
    assert ran.code == 0, ran.err
    assert (ran.json["status"], ran.json["passed"], ran.json["registered_model"]["name"]) == ("succeeded", True, MODEL)
    job = next(job for job in cloud.cluster.jobs.values() if f"/{job.name}?" in ran.json["url"])
    train, register = (cloud.cluster.child(job, step) for step in ("train", "register"))
    version = cloud.workspace.model_version(MODEL, ran.json["registered_model"]["version"])["properties"]
    assert version["modelUri"] == f"azureml://jobs/{register.name}/outputs/artifacts/paths/model/59"
    assert {"model/59/model_59.pt", "model/59/exported/policy.onnx"} <= {*cloud.tracking.artifacts.paths(register.name)}
    assert (version["tags"]["gaitway.training_run"], version["tags"]["verdict"]) == (train.name, "passed")
    assert f"runs:/{train.name}/checkpoints/model_59.pt" in gaitway("checkpoints", "shipped").out


@pytest.mark.slow
def test_a_spot_training_survives_three_evictions_among_colleagues_of_the_same_names(
    gaitway: Callable[..., Any], cloud: AzureCloud, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", cloud.tracking_uri)
    torn: list[str] = []

    def tear(run: str, path: str) -> None:
        """Take the node away after a checkpoint's record was made and before its blob is written, twice."""
        wanted = not torn if path == "checkpoints/model_0.pt" else len(torn) == 1
        if path.startswith("checkpoints/model_") and wanted:
            torn.append(path)
            cloud.cluster.evict(run, at_once=True)

    cloud.tracking.artifacts.on_record = tear
    started = gaitway(
        *("train", "--on", "azureml", "--task", TASK, "-n", "16", "-m", "40", "--save-interval", "5"),
        *("--name", "walker", "--yes", "--json"),
    )
    assert started.code == 0, started.err
    (job,) = [job for job in cloud.cluster.jobs.values() if job.status not in ("Completed", "Failed")]
    colleagues.add_runs(cloud.tracking, EXPERIMENT, "walker")
    queued = gaitway("checkpoints", "walker", "--json")
    assert [line for line in queued.json["checkpoints"] if job.name not in line["uri"]] == [], "only this run's"
    _wait_for(cloud, job, lambda paths: job.attempts == 3 and any("model_10" in path for path in paths))
    cloud.cluster.evict(job.name)
    cloud.cluster.wait(job.name)
    cloud.tracking.artifacts.on_record = lambda run, path: None

    assert (job.status, job.attempts) == ("Completed", 4), job.lines
    assert any("no checkpoint of the earlier attempt can be read" in line for line in job.lines)
    ended = gaitway("status", "walker", "--json").json
    assert (ended["status"], ended["iterations"]) == ("succeeded", 40)
    assert ended["registered_model"]["name"] == MODEL
    version = cloud.workspace.model_version(MODEL, ended["registered_model"]["version"])["properties"]
    assert version["modelUri"] == f"azureml://jobs/{job.name}/outputs/artifacts/paths/model/39"
    listed = gaitway("checkpoints", "walker", "--json").json["checkpoints"]
    assert all(line["uri"].startswith(f"runs:/{job.name}/") for line in listed)
    whole = {line["iteration"] for line in listed}
    assert {0, 10, 15, 20, 25, 30, 35, 39} <= whole
    torn_first, torn_later = (fetch(f"runs:/{job.name}/{path}", project / "fetched") for path in torn)
    assert [found.resolved_uri.split("/")[2] for found in (torn_first, torn_later)] == ["attempts", "attempts"]
    for reference in ("walker@best", "walker@latest"):
        plan = gaitway("infer", "--on", "azureml", "--task", TASK, "-c", reference, "--dry-run", "--json")
        assert plan.code == 0, plan.err
        assert f"runs:/{job.name}/checkpoints/" in plan.json["request"]["body"]


@pytest.mark.slow
def test_no_tag_is_lost_or_refused_with_many_changed_files_and_checkpoints(
    gaitway: Callable[..., Any], cloud: AzureCloud, project: Path
) -> None:
    changed = project / "robot_tasks"
    changed.mkdir()
    names = [f"terrain_generator_with_a_long_name_and_a_number_{number:02d}.py" for number in range(24)]
    for command in (["init", "-q"], ["config", "user.email", "a@b.c"], ["config", "user.name", "a"]):
        subprocess.run(["git", *command], cwd=changed, check=True)
    for name in names:
        (changed / name).write_text("A = 1\n")
    subprocess.run(["git", "add", "-A"], cwd=changed, check=True)
    subprocess.run(["git", "commit", "-q", "-m", "first"], cwd=changed, check=True)
    for name in names:
        (changed / name).write_text("A = 2\n")
    ran = gaitway(
        *("train", "--on", "azureml", "--task", TASK, "-n", "16", "-m", "60", "--save-interval", "1"),
        *("--skip-register-checkpoint", "--with", str(changed), "--name", "many", "--follow", "--yes", "--json"),
    )
    assert ran.code == 0, ran.err
    job = ran.json["mlflow_run_id"]
    lines = "".join(cloud.cluster.find(job).lines)
    assert "refused" not in lines
    tags = cloud.tracking.tags(job)
    assert tags["gaitway.status"] == "FINISHED"
    assert 13 <= len([name for name in tags if name != "mlflow.runName"]) <= 16, sorted(tags)
    assert tags["gaitway.dirty"].startswith("24 files: ")
    assert len(gaitway("checkpoints", "many", "--json").json["checkpoints"]) >= 60


def _wait_for(cloud: AzureCloud, job: Any, condition: Callable[[list[str]], bool]) -> None:
    deadline = time.monotonic() + 600
    while not condition(cloud.tracking.artifacts.paths(job.name)):
        assert time.monotonic() < deadline and job.status not in ("Completed", "Failed"), (
            f"{job.status} {job.attempts} {job.error}: {''.join(job.lines[-40:])}"
        )
        time.sleep(0.05)
