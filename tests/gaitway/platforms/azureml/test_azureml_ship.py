"""A ship submission on the stand-in: a pipeline, its stages, what is left of it after a failure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fakes.azureml import AzureCloud
from gaitway_runtime.spec.chain import job_of, stages
from gaitway_runtime.spec.job import ShipJob

RUNTIME = Path(__file__).parents[3] / "fakes" / "runtime"
TASK = "Isaac-Cartpole-v0"
WORDS = ("--on", "azureml", "--task", TASK, "--training-path", str(RUNTIME), "--yes", "--json")


def job_of_run(cloud: AzureCloud, url: str) -> Any:
    return next(job for job in cloud.cluster.jobs.values() if f"/{job.name}?" in url)


def stages_of(cloud: AzureCloud, job: Any) -> list[str]:
    return [child.step.name for child in cloud.cluster.children(job)]


@pytest.fixture
def mended(cloud: AzureCloud) -> Iterator[None]:
    yield
    cloud.cluster.broken = set()


def test_ship_is_a_pipeline_that_ends_at_a_failed_gate(gaitway: Callable[..., Any], cloud: AzureCloud) -> None:
    ran = gaitway("ship", *WORDS, "--set", "do=gate_of_stage")
    assert ran.code == 0, ran.err
    job = job_of_run(cloud, ran.json["url"])
    cloud.cluster.wait(job.name)
    assert stages_of(cloud, job) == ["train", "gate"]
    ended = gaitway("status", ran.json["run"], "--json")
    assert (ended.json["status"], "the gate was not met" in ended.json["detail"]) == ("failed", True)
    log = gaitway("logs", ran.json["run"]).out
    assert log.index("--- stage train") < log.index("--- stage gate")


def test_a_second_ship_of_the_same_files_is_run_and_not_taken_from_the_first(
    gaitway: Callable[..., Any], cloud: AzureCloud
) -> None:
    for _ in range(2):
        ran = gaitway("ship", *WORDS, "--follow")
        assert ran.code == 0, ran.err
        job = job_of_run(cloud, ran.json["url"])
        assert [child.step.name for child in cloud.cluster.children(job) if child.reused] == []
        assert ran.json["iterations"] == 3


def test_a_pipeline_says_what_its_first_stage_waits_for(gaitway: Callable[..., Any], cloud: AzureCloud) -> None:
    cloud.cluster.held = True
    run = gaitway("ship", *WORDS).json["run"]
    reason = "train: Azure ML says Queued: waiting for room on k8s-robots"
    queued = gaitway("status", run, "--json").json
    assert (queued["status"], queued["detail"].startswith(reason)) == ("queued", True), queued
    assert f"is queued: {reason}" in gaitway("logs", run).err
    assert gaitway("cancel", run, "--json").json["status"] == "cancelled"


def test_each_stage_of_a_pipeline_can_be_resumed_alone(
    gaitway: Callable[..., Any], cloud: AzureCloud, mended: None
) -> None:
    cloud.cluster.broken = {"infer"}
    ran = gaitway("ship", *WORDS, "--follow")
    assert ran.code == 1, ran.err
    assert ran.json["detail"] == "stage infer: The container image could not be pulled"
    assert ran.json["iterations"] == 3, "what the training did is known all the same"
    run, first = ran.json["run"], job_of_run(cloud, ran.json["url"])
    cloud.cluster.broken = {"register"}
    again = gaitway("restart", run, "--json")
    assert again.code == 0, again.err
    second = job_of_run(cloud, again.json["url"])
    cloud.cluster.wait(second.name)
    assert (stages_of(cloud, first), stages_of(cloud, second)) == (["train", "gate", "infer"], ["infer", "register"])
    assert gaitway("status", run, "--json").json["detail"].startswith("stage register: ")
    cloud.cluster.broken = set()
    third = job_of_run(cloud, gaitway("restart", run, "--json").json["url"])
    cloud.cluster.wait(third.name)
    assert stages_of(cloud, third) == ["register"]
    ended = gaitway("status", run, "--json").json
    assert (ended["status"], ended["iterations"]) == ("succeeded", 3)
    log = gaitway("logs", run).out
    assert [log.count(f"--- stage {name}") for name in ("train", "gate", "infer", "register")] == [1, 1, 1, 1]
    refused = gaitway("restart", run)
    assert (refused.code, "has not failed: completed" in refused.err) == (2, True)


def test_a_training_that_is_started_again_goes_on_from_its_newest_checkpoint(
    gaitway: Callable[..., Any], cloud: AzureCloud, mended: None
) -> None:
    cloud.cluster.broken = {"train"}
    ran = gaitway("ship", *WORDS, "--follow")
    failed = job_of_run(cloud, ran.json["url"]).children[0]
    cloud.tracking.artifacts.put(failed, "checkpoints/model_7.pt", b"mine")
    cloud.cluster.broken = set()
    again = job_of_run(cloud, gaitway("restart", ran.json["run"], "--json").json["url"])
    inputs = again.properties["jobs"]["train"]["inputs"]
    assert inputs["checkpoint_uri"]["value"] == f"runs:/{failed}/checkpoints"
    assert inputs["checkpoint_mode"]["value"] == "resume"
    cloud.cluster.wait(again.name)
    assert stages_of(cloud, again) == ["train", "gate", "infer", "register"]


def test_a_failed_training_is_started_again_as_a_job_of_its_own(
    gaitway: Callable[..., Any], cloud: AzureCloud, submitted: Any
) -> None:
    begun = submitted("do=crash")
    failed = job_of_run(cloud, begun["url"])
    cloud.cluster.wait(failed.name)
    cloud.tracking.artifacts.put(failed.name, "checkpoints/model_7.pt", b"mine")
    again = gaitway("restart", begun["run"], "--json")
    assert again.code == 0, again.err
    job = job_of_run(cloud, again.json["url"])
    assert job is not failed
    assert job.properties["inputs"]["checkpoint_uri"]["value"] == f"runs:/{failed.name}/checkpoints"
    assert job.properties["codeId"] == failed.properties["codeId"], "nothing is uploaded again"
    cloud.cluster.wait(job.name)


def test_a_pipeline_is_adopted_and_its_training_shows_its_checkpoints(
    gaitway: Callable[..., Any], cloud: AzureCloud, monkeypatch: pytest.MonkeyPatch, project: Path, tmp_path: Path
) -> None:
    ran = gaitway("ship", *WORDS, "--max-iterations", "3", "--format", "onnx", "--follow")
    assert ran.code == 0, ran.err
    job = job_of_run(cloud, ran.json["url"])
    assert stages_of(cloud, job) == ["train", "gate", "infer", "register"]
    monkeypatch.setenv("GAITWAY_HOME", str(project / "another"))
    adopted = gaitway("adopt", job.name, "--on", "azureml", "--json")
    assert adopted.code == 0, adopted.err
    assert (adopted.json["kind"], adopted.json["task"]) == ("ship", TASK)
    run = adopted.json["run"]
    assert gaitway("status", run, "--json").json["status"] == "succeeded"
    training = cloud.cluster.child(job, "train").name
    run_id = job.properties["jobs"]["train"]["environment_variables"]["GAITWAY_CONTEXT"].partition('"run_id": "')[2][
        :32
    ]
    cloud.tracking.artifacts.put(training, "checkpoints/model_7.pt", b"mine")
    cloud.tracking.artifacts.put(training, "metrics/validation.json", b"{}")
    tag = {"run_id": cloud.tracking.run_ids[training], "key": "gaitway.run_id", "value": run_id}
    cloud.tracking.ask("runs/set-tag", tag)
    listed = gaitway("checkpoints", run, "--json")
    assert [line["uri"] for line in listed.json["checkpoints"]] == [f"runs:/{training}/checkpoints/model_7.pt"]
    fetched = gaitway("download", run, "--pattern", "metrics/*", "--into", str(tmp_path / "got"))
    assert fetched.code == 0, fetched.err
    assert (tmp_path / "got" / "metrics" / "validation.json").is_file()


@pytest.mark.parametrize(
    "job", [ShipJob(task="A-v0", num_envs=7), ShipJob(skip_register_checkpoint=True, format="onnx")]
)
def test_a_ship_job_can_be_put_together_from_its_stages(job: ShipJob) -> None:
    assert job_of({stage.name: stage.job for stage in stages(job, lambda stage, read: f"/{read}")}) == job
