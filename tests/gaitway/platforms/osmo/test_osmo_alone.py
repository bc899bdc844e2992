"""OSMO alone, no tracking server and no storage named: results come back, and runs follow one another."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest
import yaml
from fakes.osmo import OsmoService, Pod
from fakes.osmo.service import LONGEST_S
from fakes.weights import TORCH_START
from gaitway_runtime.spec.checkpoint_files import sha256_of

TASK = ("--task", "Isaac-Cartpole-v0", "--num-gpus", "0")


@pytest.fixture(autouse=True)
def cluster(service: OsmoService, monkeypatch: pytest.MonkeyPatch) -> None:
    service.cluster.runner = Pod.run
    service.cluster.log_lines_per_s = 50.0
    service.cluster.image_environment = {"GAITWAY_REQUIREMENTS": "skip", "OMP_NUM_THREADS": "1"}
    monkeypatch.delenv("TRAINING_PATH")


@pytest.mark.slow
def test_a_training_an_inference_of_it_and_one_of_a_file_that_was_downloaded(
    service: OsmoService, gaitway: Any, project: Path
) -> None:
    trained = gaitway("train", "--on", "osmo", *TASK, "-n", "16", "-m", "3", "--follow", "--json")
    assert (trained.code, trained.json["status"]) == (0, "succeeded"), trained.err
    run = trained.json
    assert (run["mlflow_run_id"], run["final_checkpoint"]["uri"]) == (None, f"{run['run']}@2")
    assert f"{run['run']}@2" in run["next"]
    shown = gaitway("status", run["run"]).out
    assert "127.0.0.1:5000" not in shown + trained.err

    play = ("-n", "2", "--max-steps", "5", "--video-length", "0")
    inferred = gaitway("infer", "--on", "osmo", *TASK, *play, "-c", f"{run['run']}@latest", "--follow", "--json")
    assert inferred.code == 0, inferred.err
    started = list(service.workflows.values())[-1]
    assert started.spec.tasks[0].inputs[0].task == f"{run['url'].rpartition('/')[2]}:isaac-training"
    done = gaitway("download", inferred.json["run"], "--pattern", "exported/*", "--into", "here")
    assert done.code == 0, done.err
    assert (project / "here/exported/policy.onnx").stat().st_size > 0

    assert gaitway("download", run["run"], "--pattern", "checkpoints/model_2.pt", "--into", "mine").code == 0
    file = project / "mine/checkpoints/model_2.pt"
    assert sha256_of(file) == run["final_checkpoint"]["sha256"]
    words = ("infer", "--on", "osmo", *TASK, *play, "-c", str(file), "--format", "onnx")
    from_file = gaitway(*words, "--follow", "--json")
    assert from_file.code == 0, from_file.err
    assert [path for path in service.storage.uploads] == []


def test_the_next_job_names_the_task_and_the_files_that_it_reads(service: OsmoService, gaitway: Any) -> None:
    service.cluster.runner = lambda pod, log: 0
    assert gaitway("train", "--on", "osmo", *TASK, "--name", "first").code == 0
    for which, pattern in (
        ("@latest", r"outputs/(checkpoints/.*|params/.*)$"),
        ("@7", r"outputs/(checkpoints/(model_7\.pt|state_7\..*)|params/.*)$"),
    ):
        ran = gaitway("infer", "--on", "osmo", *TASK, "-c", f"first{which}", "--dry-run", "--json")
        assert ran.code == 0, ran.err
        (task,) = yaml.safe_load(ran.json["request"]["body"])["workflow"]["tasks"]
        assert task["inputs"] == [{"task": "isaaclab-inline-training-1:isaac-training", "regex": pattern}]
        path = "/osmo/data/input/0/outputs/checkpoints" + ("" if which == "@latest" else "/model_7.pt")
        assert f'"checkpoint_uri": "{path}"' in next(
            file["contents"] for file in task["files"] if file["path"].endswith("job.json")
        )
    ran = gaitway("infer", *TASK, "-c", "first@latest", "--dry-run")
    assert (ran.code, "gaitway download first" in ran.err) == (2, True), ran.err


def test_a_run_that_goes_on_hands_nothing_on_yet(service: OsmoService, gaitway: Any) -> None:
    over = threading.Event()
    service.cluster.runner = lambda pod, log: 0 if over.wait(LONGEST_S) else 1
    assert gaitway("train", "--on", "osmo", *TASK, "--name", "first").code == 0
    service.wait("isaaclab-inline-training-1", "RUNNING")
    early = gaitway("infer", "--on", "osmo", *TASK, "-c", "first@latest")
    over.set()
    assert (early.code, "has not ended (running)" in early.err) == (2, True), early.err
    assert len(service.workflows) == 1, "no id is burnt"
    service.wait("isaaclab-inline-training-1")
    assert gaitway("infer", "--on", "osmo", *TASK, "-c", "first@latest").code == 0


@pytest.mark.parametrize("place", ["s3://mine/gaitway/runs/1", ""])
def test_a_run_that_was_taken_away_hands_on_what_it_has_kept_itself(
    service: OsmoService, gaitway: Any, place: str
) -> None:
    over = threading.Event()

    def runner(pod: Pod, log: Any) -> int:
        told = {"iteration": 7, "path": "checkpoints/model_7.pt", "sha256": "ab" * 32, "kept_at": place or None}
        log(f"::gaitway-checkpoint:: {json.dumps(told)}")
        return 0 if pod.name != "isaac-training" else 137 if over.wait(LONGEST_S) else 1

    service.cluster.runner = runner
    assert gaitway("train", "--on", "osmo", *TASK, "--name", "first").code == 0
    (workflow,) = service.workflows.values()
    with workflow.changed:
        assert workflow.changed.wait_for(
            lambda: any("gaitway-checkpoint" in line for line in workflow.lines), LONGEST_S
        )
    service.preempt(workflow.id)
    over.set()
    service.wait(workflow.id)
    assert gaitway("status", "first", "--json").json["status"] == "failed"
    ran = gaitway("infer", "--on", "osmo", *TASK, "-c", "first@latest")
    if place:
        assert ran.code == 0, ran.err
        (task,) = list(service.workflows.values())[-1].spec.tasks
        assert task.inputs[0].url == f"{place}/checkpoints"
    else:
        assert (ran.code, "was ended from outside (failed_preempted)" in ran.err) == (2, True), ran.err
        assert len(service.workflows) == 1, "no id is burnt"


def test_a_checkpoint_in_named_storage_is_read_from_there(service: OsmoService, gaitway: Any) -> None:
    service.cluster.runner = lambda pod, log: 0
    storage = ("--storage-uri", "s3://bucket/robots")
    assert gaitway("train", "--on", "osmo", *TASK, *storage, "--name", "first").code == 0
    ran = gaitway("train", "--on", "osmo", *TASK, *storage, "-c", "first@latest", "-M", "resume", "--dry-run", "--json")
    (task,) = yaml.safe_load(ran.json["request"]["body"])["workflow"]["tasks"]
    first, second = (item["url"] for item in task["inputs"])
    assert first.startswith("s3://bucket/robots/runs/")
    assert second.startswith("s3://bucket/robots/runs/")
    assert first != second, "an earlier attempt's checkpoints are another run's"
    assert task["environment"]["RESUME_DIR"] == "{{input:1}}"


def test_a_file_that_travels_is_named_with_its_hash(service: OsmoService, gaitway: Any, project: Path) -> None:
    (project / "run/checkpoints").mkdir(parents=True)
    (project / "run/params").mkdir()
    (project / "run/params/agent.yaml").write_text("a: 1\n")
    file = project / "run/checkpoints/model_5.pt"
    file.write_bytes(TORCH_START)
    for platform in (("--on", "osmo"), ("--on", "azureml", "--compute", "cpu")):
        ran = gaitway("infer", *platform, *TASK, "-c", "run/checkpoints/model_5.pt", "--dry-run", "--json")
        assert ran.code == 0, ran.err
        assert sha256_of(file) in ran.json["request"]["body"]
        assert "model_5.pt" in ran.json["request"]["body"]
    missing = gaitway("infer", "--on", "osmo", *TASK, "-c", "run/checkpoints/model_6.pt", "--dry-run")
    assert (missing.code, "there is no file" in missing.err) == (2, True)


def test_checkpoints_that_a_long_log_has_lost_are_listed_from_storage(service: OsmoService, gaitway: Any) -> None:
    service.cluster.runner = lambda pod, log: 0
    ran = gaitway("train", "--on", "osmo", *TASK, "--storage-uri", "s3://bucket/robots", "--name", "first")
    assert ran.code == 0, ran.err
    (workflow,) = service.workflows.values()
    kept = workflow.tasks[0].spec.environment["KEEP_AT"]
    for name in ("model_7.pt", "model_20.pt", "origin.json"):
        service.storage.put(f"{kept}/checkpoints/{name}", b"x")
    found = gaitway("checkpoints", "first", "--json").json["checkpoints"]
    assert [(one["iteration"], one["uri"]) for one in found] == [(7, "first@7"), (20, "first@20")]
