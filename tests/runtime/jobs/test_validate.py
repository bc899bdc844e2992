import contextlib
import dataclasses
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from gaitway_runtime.evaluation.provenance import fetch_with_provenance
from gaitway_runtime.evaluation.validation import validate_checkpoint
from gaitway_runtime.jobs import evaluating, validate
from gaitway_runtime.jobs.base import Workspace
from gaitway_runtime.process.lifecycle import Progress, StopRequest
from gaitway_runtime.simulators import mujoco
from gaitway_runtime.spec.contract import PolicyContract
from gaitway_runtime.spec.errors import GateFailed, UsageError
from gaitway_runtime.spec.job import TrainJob, ValidateJob
from gaitway_runtime.spec.result import Result
from gaitway_runtime.spec.run_context import RunContext
from gaitway_runtime.stores.mlflow_client import open_client
from gaitway_runtime.tracking import mlflow_tracker

from tests.fakes.linear_policy import CARTPOLE, write_checkpoint
from tests.fakes.tracker import open_tracker, told

TASK = "Isaac-Cartpole-v0"
JOB = ValidateJob(task=TASK, simulator="mujoco", num_envs=8, eval_episodes=10, seed=3)
FALLING = ((-0.431, 2.667, -0.589, 0.573),)
"""The regulator with its sign turned: it drives the cart off its rail."""


@pytest.fixture(autouse=True)
def _small_films(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluating, "FILM_SIZE", (64, 48))
    monkeypatch.setattr(validate, "VIDEO_STEPS", 6)


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mlflow_tracker, "open_tracker", open_tracker)


def run(folder: Path, context: RunContext | None = None, **changes: Any) -> Result:
    workspace = Workspace(folder / "outputs", StopRequest(), Progress(folder / "outputs"))
    workspace.output_dir.mkdir(parents=True)
    return validate.run(dataclasses.replace(JOB, **changes), context or RunContext(run="validate-1"), workspace)


def contract_of(task: str) -> PolicyContract:
    job = ValidateJob(task=task, simulator="mujoco")
    with contextlib.closing(mujoco.open_env(job, num_envs=1, training=False, seed=0)) as env:
        return env.contract


def test_a_sweep_is_refused_where_it_has_no_knobs(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        run(tmp_path, simulator="isaaclab", sweep=True, checkpoint_uri="model_1.pt")
    assert (caught.value.source, caught.value.hint) == ("--sweep", "--simulator mujoco")


@pytest.mark.usefixtures("recorded")
def test_a_good_policy_passes(tmp_path: Path) -> None:
    result = run(tmp_path, checkpoint_uri=str(write_checkpoint(tmp_path / "model_7.pt")))
    assert (result.status, result.exit_code, result.passed, result.error) == ("succeeded", 0, True, None)
    document = json.loads((tmp_path / "outputs" / "metrics" / "validation.json").read_text())
    assert document == result.metrics
    assert (document["total_episodes"], document["success_rate"], document["passed"]) == (10, 1.0, True)
    assert document["verdict"]["confidence_low"] == pytest.approx(0.722, abs=1e-3)
    assert document["likely_causes"] == []
    episodes = json.loads((tmp_path / "outputs" / "metrics" / "episodes.json").read_text())
    assert episodes["success"] == [True] * 10
    assert sum(episodes["reward"]) / 10 == pytest.approx(document["mean_reward"])
    assert {"report.html", "metrics/validation.json", "videos/checkpoint_play/rl-video-step-0.mp4"} <= {
        *result.artifacts
    }
    tags = {name: value for record in told(tmp_path, "tags") for name, value in record.items()}
    assert (tags["validated"], tags["verdict"]) == ("true", "passed")
    assert told(tmp_path, "close") == ["FINISHED"]


@pytest.mark.usefixtures("recorded")
def test_a_bad_policy_fails_the_gate_with_its_own_exit_code_and_everything_is_still_there(tmp_path: Path) -> None:
    result = run(tmp_path, checkpoint_uri=str(write_checkpoint(tmp_path / "model_7.pt", FALLING)))
    assert (result.status, result.exit_code, result.passed) == ("failed", GateFailed.exit_code, False)
    assert result.error is not None
    assert "0% of the episodes succeeded, 90% are required" in result.error["message"]
    assert {"report.html", "metrics/validation.json"} <= {*result.artifacts}
    assert told(tmp_path, "close") == ["FAILED"]


@pytest.mark.usefixtures("recorded")
def test_the_threshold_can_be_named(tmp_path: Path) -> None:
    checkpoint = str(write_checkpoint(tmp_path / "model_7.pt", FALLING))
    result = run(tmp_path, checkpoint_uri=checkpoint, success_threshold=0.0)
    assert "of the episodes succeeded" not in str(result.error), "only the task's other bounds are left"


@pytest.mark.usefixtures("recorded")
def test_a_contract_with_a_wrong_sign_fails_and_the_likely_cause_is_named(tmp_path: Path) -> None:
    home = contract_of(TASK)
    term = home.actions[0]
    wrong = replace(home, actions=(replace(term, scale=tuple(-value for value in term.scale)),))
    (tmp_path / "contract.json").write_text(wrong.to_json())
    result = run(
        tmp_path,
        checkpoint_uri=str(write_checkpoint(tmp_path / "model_7.pt")),
        contract=str(tmp_path / "contract.json"),
    )
    assert result.exit_code == GateFailed.exit_code
    assert result.error is not None and "Wrong action scale in the policy's contract" in result.error["hint"]
    assert "Wrong action scale" in (tmp_path / "outputs" / "report.html").read_text(encoding="utf-8")


@pytest.mark.usefixtures("recorded")
def test_a_policy_with_its_joints_in_another_order_is_matched_by_name(tmp_path: Path) -> None:
    home = contract_of(TASK)
    turned = tuple(
        replace(term, joint_names=term.joint_names[::-1]) if term.joint_names else term for term in home.observations
    )
    weight = [[row[index] for index in (1, 0, 3, 2)] for row in CARTPOLE]
    checkpoint = write_checkpoint(tmp_path / "model_7.pt", weight, replace(home, observations=turned))
    assert run(tmp_path, checkpoint_uri=str(checkpoint)).passed


@pytest.mark.usefixtures("recorded")
def test_a_policy_of_a_task_that_is_not_here_is_played_where_its_contract_fits(tmp_path: Path) -> None:
    own = replace(contract_of(TASK), task="Own-Pole-v0", simulator="isaaclab 3.0.0")
    path = tmp_path / "own.json"
    path.write_text(own.to_json())
    checkpoint = str(write_checkpoint(tmp_path / "model_7.pt"))
    assert run(tmp_path, task="Own-Pole-v0", checkpoint_uri=checkpoint, contract=str(path)).passed
    report = (tmp_path / "outputs" / "report.html").read_text(encoding="utf-8")
    assert "task Own-Pole-v0 at home, Isaac-Cartpole-v0 here" in report


def test_a_contract_of_a_robot_that_is_not_here_names_its_joints(tmp_path: Path) -> None:
    own = contract_of(TASK)
    arm = replace(own, task="Own-Arm-v0", actions=(replace(own.actions[0], joint_names=("shoulder",)),))
    (tmp_path / "arm.json").write_text(arm.to_json())
    checkpoint = str(write_checkpoint(tmp_path / "model_7.pt"))
    with pytest.raises(UsageError, match="has the joints of Own-Arm-v0: shoulder"):
        run(tmp_path, task="Own-Arm-v0", checkpoint_uri=checkpoint, contract=str(tmp_path / "arm.json"))


def test_the_verdict_stands_on_the_registered_version(tmp_path: Path, home: Path) -> None:
    context = RunContext(run="validate-1")
    folder = tmp_path / "trained"
    folder.mkdir()
    tracker = mlflow_tracker.open_tracker(TrainJob(task=TASK), context, output_dir=folder)
    tracker.publish(write_checkpoint(folder / "model_7.pt", FALLING), "model/7")
    assert tracker.register_model("isaac-cartpole-v0", "model/7", {"verdict": "pending"}).version == "1"
    tracker.publish(write_checkpoint(folder / "good" / "model_8.pt"), "model/8")
    tracker.register_model("isaac-cartpole-v0", "model/8", {"verdict": "pending"})
    tracker.close("FINISHED")
    result = run(tmp_path / "newest", context)
    assert result.registered_model == {"name": "isaac-cartpole-v0", "version": "2"}
    client = open_client(f"sqlite:///{home}/mlflow.db")
    older, newer = (client.get_model_version("isaac-cartpole-v0", version).tags for version in ("1", "2"))
    assert (newer["validated"], newer["verdict"], newer["validation.success_rate"]) == ("true", "passed", "1")
    assert older == {"verdict": "pending"}, "another version is not touched"
    assert client.get_run(newer["validation.run_id"]).data.tags["gaitway.kind"] == "validate"


def test_a_model_that_is_not_registered_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="isaac-cartpole-v0"):
        run(tmp_path)


def test_the_gate_can_be_asked_for_without_a_job_of_its_own(tmp_path: Path) -> None:
    checkpoint = write_checkpoint(tmp_path / "model_7.pt")
    job = TrainJob(task=TASK, simulator="mujoco")
    validation = validate_checkpoint(job, checkpoint, episodes=4, num_envs=4)
    assert validation.verdict.passed and validation.verdict.episodes == 4


def test_a_file_that_was_trained_elsewhere_is_nothing_to_warn_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    checkpoint = write_checkpoint(tmp_path / "model_7.pt", run_id="0123456789abcdef0123456789abcdef")
    with caplog.at_level("INFO"):
        found = fetch_with_provenance(str(checkpoint), ValidateJob(task=TASK), RunContext(), tmp_path / "into")
    assert found.run_id == "0123456789abcdef0123456789abcdef"
    ours = [record for record in caplog.records if record.name.startswith("gaitway")]
    assert not [record.getMessage() for record in ours if record.levelname != "INFO"]
    assert any("is not in this store" in record.getMessage() for record in ours)


def test_the_training_is_remembered_also_for_a_checkpoint_that_is_named_by_its_path(tmp_path: Path) -> None:
    training = mlflow_tracker.open_tracker(TrainJob(task=TASK), RunContext(), output_dir=tmp_path / "training")
    for iteration in range(3):
        training.log_metrics({"Train/mean_reward": float(iteration)}, iteration)
    training.set_tags({"gaitway.commit": "0123abc"})
    training.close("FINISHED")
    checkpoint = write_checkpoint(tmp_path / "model_7.pt", run_id=training.run_id)
    run(tmp_path, checkpoint_uri=str(checkpoint), eval_episodes=2)
    page = (tmp_path / "outputs" / "report.html").read_text(encoding="utf-8")
    assert training.run_id in page and "0123abc" in page
    assert (tmp_path / "outputs" / "plots" / "training.png").exists()
