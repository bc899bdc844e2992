import dataclasses
import json
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from gaitway_runtime.jobs import train
from gaitway_runtime.jobs.base import Workspace
from gaitway_runtime.process.lifecycle import Progress, StopRequest
from gaitway_runtime.simulators import base as simulators
from gaitway_runtime.spec import result as results
from gaitway_runtime.spec.errors import GaitwayError, JobFailed, PlatformError, UsageError
from gaitway_runtime.spec.job import TrainJob
from gaitway_runtime.spec.job_document import to_document
from gaitway_runtime.spec.result import Result
from gaitway_runtime.spec.run_context import RunContext
from gaitway_runtime.tracking import attempts, mlflow_tracker
from gaitway_runtime.tracking.attempts import Superseded

from tests.fakes import mass_simulator
from tests.fakes.mass_env import DoubleIntegrator
from tests.fakes.tracker import RecordingTracker, open_tracker, told
from tests.fakes.weights import digest

ROOT = Path(__file__).resolve().parents[3]
STEPS = 8 * 4
"""Environment steps of one iteration."""

JOB = TrainJob(
    task="Fake-Mass-v0",
    simulator="mujoco",
    num_envs=4,
    max_iterations=6,
    save_interval=2,
    overrides=(
        "agent.num_steps_per_env=8",
        "agent.actor.hidden_dims=[8]",
        "agent.critic.hidden_dims=[8]",
        "agent.algorithm.num_learning_epochs=1",
    ),
)


@pytest.fixture(autouse=True)
def _small_world(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(simulators.SIMULATORS, "mujoco", "tests.fakes.mass_simulator")
    monkeypatch.setattr(mlflow_tracker, "open_tracker", open_tracker)


def run(folder: Path, job: TrainJob = JOB, stop: StopRequest | None = None) -> Result:
    workspace = Workspace(folder / "outputs", stop or StopRequest(), Progress(folder / "outputs"))
    workspace.output_dir.mkdir(parents=True)
    return train.run(job, RunContext(run="mass-1"), workspace)


def test_a_training_is_tracked_published_and_registered(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = run(tmp_path)
    assert (result.status, result.exit_code, result.iterations, result.steps) == ("succeeded", 0, 6, 6 * STEPS)
    assert told(tmp_path, "checkpoint") == [
        ["model_0.pt", 0, "checkpoints"],
        ["model_2.pt", 2, "checkpoints"],
        ["model_4.pt", 4, "checkpoints"],
        ["model_5.pt", 5, "checkpoints"],
        ["model_5.pt", 5, "checkpoints/final"],
    ]
    lines = [json.loads(line) for line in (tmp_path / "tracked.jsonl").read_text().splitlines()]
    sent = [line[1] for line in lines if line[0] in ("checkpoint", "companion")]
    assert sent[:2] == ["state_0.npz", "model_0.pt"], "a checkpoint that is in the store has its companion there"
    assert sent.index("state_5.npz") < sent.index("model_5.pt")
    assert [step for step, _ in told(tmp_path, "metrics")] == [0, 1, 2, 3, 4, 5]
    assert "Loss/value" in told(tmp_path, "metrics")[0][1]
    assert told(tmp_path, "close") == ["FINISHED"]
    final = result.final_checkpoint
    assert final is not None
    assert final.uri == f"runs:/{result.mlflow_run_id}/checkpoints/final/model_5.pt"
    assert final.path == str(tmp_path / "outputs" / "checkpoints" / "model_5.pt")
    assert result.registered_model == {"name": "fake-mass-v0", "version": "1"}
    name, folder, tags = told(tmp_path, "register")[0]
    assert (name, folder) == ("fake-mass-v0", "model/5")
    assert (tags["verdict"], tags["task"], tags["framework"]) == ("pending", "Fake-Mass-v0", "rsl_rl")
    assert tags["gaitway.sha256"] == final.sha256
    assert [path for path, where in told(tmp_path, "publish") if where == folder] == ["model_5.pt", "params"]
    lines = capsys.readouterr().out.splitlines()
    assert "INFO | MLflow tracking configured: experiment=isaaclab-rsl-rl-fake" in lines
    assert any(line.startswith("View run at: http") for line in lines)


def test_a_job_whose_earlier_attempt_left_nothing_that_can_be_read_begins_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The node was taken away while it wrote its first checkpoint: every later attempt finds that one."""
    torn = tmp_path / "kept" / "model_0.pt"
    torn.parent.mkdir()
    torn.write_bytes(b"PK half of it")

    def resumed(job: TrainJob, context: RunContext) -> TrainJob:
        return dataclasses.replace(job, checkpoint_uri=str(torn), checkpoint_mode="resume")

    monkeypatch.setattr(attempts, "resumed", resumed)
    result = run(tmp_path)
    assert (result.status, result.iterations) == ("succeeded", 6), result.error
    assert "no checkpoint of the earlier attempt can be read" in caplog.text
    asked = dataclasses.replace(JOB, checkpoint_uri=str(torn), checkpoint_mode="resume")
    with pytest.raises(PlatformError, match="damaged"):
        run(tmp_path / "asked for", asked)


def test_the_run_says_what_it_was_made_with(tmp_path: Path) -> None:
    run(tmp_path)
    tags = {name: value for record in told(tmp_path, "tags") for name, value in record.items()}
    assert (tags["seed"], tags["simulator"]) == ("42", "fake 1")
    assert {"gaitway.version.torch", "gaitway.version.rsl-rl-lib"} <= tags.keys()
    assert told(tmp_path, "params")[0]["max_iterations"] == "6"
    contract = json.loads((tmp_path / "outputs" / "params" / "contract.json").read_text())
    assert contract["task"] == "Fake-Mass-v0"


def test_the_final_model_is_named_in_the_log_as_the_documents_grep_for_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO", "gaitway_runtime"):
        run(tmp_path)
    assert f"Found final model: {tmp_path}/outputs/checkpoints/model_5.pt" in caplog.messages


def test_registration_can_be_left_out_or_named(tmp_path: Path) -> None:
    assert run(tmp_path / "a", dataclasses.replace(JOB, skip_register_checkpoint=True)).registered_model is None
    named = run(tmp_path / "b", dataclasses.replace(JOB, register_checkpoint="my-mass"))
    assert named.registered_model == {"name": "my-mass", "version": "1"}


@pytest.mark.parametrize(
    "wrong",
    [{"register_checkpoint": "no/such name"}, {"overrides": ("agent.gamma=1",)}],
    ids=["model name", "override"],
)
def test_what_is_wrong_is_said_before_anything_is_tracked(tmp_path: Path, wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        run(tmp_path, dataclasses.replace(JOB, **wrong))
    assert not (tmp_path / "tracked.jsonl").exists()


def test_a_registry_that_is_away_fails_the_job_only_if_it_was_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def open_without_registry(*args: Any, output_dir: Path, **kwargs: Any) -> RecordingTracker:
        return RecordingTracker(output_dir, registry=PlatformError("the registry is away"))

    monkeypatch.setattr(mlflow_tracker, "open_tracker", open_without_registry)
    assert run(tmp_path / "a").status == "succeeded"
    asked = run(tmp_path / "b", dataclasses.replace(JOB, register_checkpoint="my-mass"))
    assert (asked.status, asked.exit_code) == ("failed", 4)
    assert asked.final_checkpoint is not None and asked.final_checkpoint.iteration == 5


def test_a_training_that_diverges_closes_its_run_as_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        mass_simulator, "open_env", lambda job, **_: DoubleIntegrator(4, task=job.task, nan_after=3 * STEPS)
    )
    with pytest.raises(JobFailed, match="in iteration 2"):
        run(tmp_path)
    assert told(tmp_path, "close") == ["FAILED"]
    assert told(tmp_path, "checkpoint")[-1][0] == "model_0.pt"


def test_a_resume_continues_the_run_that_the_checkpoint_belongs_to(tmp_path: Path) -> None:
    first = run(tmp_path / "a")
    assert first.final_checkpoint is not None
    again = dataclasses.replace(
        JOB, max_iterations=9, checkpoint_mode="resume", checkpoint_uri=first.final_checkpoint.path
    )
    second = run(tmp_path / "b", again)
    assert (second.iterations, second.steps) == (9, 3 * STEPS)
    assert second.mlflow_run_id == first.mlflow_run_id
    assert [step for step, _ in told(tmp_path / "b", "metrics")] == [6, 7, 8]
    published = told(tmp_path / "b", "checkpoint")
    assert published[0] == ["model_5.pt", 5, "checkpoints"], "its attempt may have been killed before it could"
    assert told(tmp_path / "b", "params") == []


def test_a_warm_start_is_a_run_of_its_own(tmp_path: Path) -> None:
    first = run(tmp_path / "a")
    assert first.final_checkpoint is not None
    again = dataclasses.replace(JOB, checkpoint_mode="warm-start", checkpoint_uri=first.final_checkpoint.path)
    second = run(tmp_path / "b", again)
    assert second.mlflow_run_id != first.mlflow_run_id
    assert [step for step, _ in told(tmp_path / "b", "metrics")] == [0, 1, 2, 3, 4, 5]


def test_a_resume_that_has_reached_its_total_succeeds_and_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first = run(tmp_path / "a")
    assert first.final_checkpoint is not None
    again = dataclasses.replace(JOB, checkpoint_mode="resume", checkpoint_uri=first.final_checkpoint.path)
    with caplog.at_level("INFO", "gaitway_runtime"):
        second = run(tmp_path / "b", again)
    assert (second.status, second.iterations, second.steps) == ("succeeded", 6, 0)
    assert "nothing left to do: 6 iterations are done already" in caplog.messages


def test_an_attempt_whose_run_goes_on_elsewhere_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def log_metrics(self: RecordingTracker, metrics: Mapping[str, float], step: int) -> None:
        self.superseded = Superseded(self.run_id) if step == 2 else None

    monkeypatch.setattr(RecordingTracker, "log_metrics", log_metrics)
    result = run(tmp_path / "a")
    assert (result.status, result.exit_code, result.iterations) == ("failed", 4, 3)
    assert result.error is not None
    assert "a later attempt continues MLflow run new-a" in result.error["message"]
    assert told(tmp_path / "a", "close") == ["KILLED"]
    assert told(tmp_path / "a", "register") == []


def runtime(folder: Path, job: TrainJob, at: str = "") -> subprocess.CompletedProcess[str]:
    """Run a job in a process of its own, which may send itself a signal."""
    folder.mkdir(parents=True)
    job = dataclasses.replace(job, imports=("tests.fakes.mass_simulator",))
    (folder / "job.json").write_text(json.dumps(to_document(job, RunContext(run="mass-1"))))
    paths = [ROOT, ROOT / "src", ROOT / "src" / "training"]
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, paths)), mass_simulator.SIGNAL: at}
    command = [sys.executable, "-m", "gaitway_runtime", "--job", str(folder / "job.json")]
    return subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, timeout=120)


def test_sigterm_saves_publishes_and_ends_as_interrupted_and_the_run_can_go_on(tmp_path: Path) -> None:
    asked = dataclasses.replace(JOB, skip_register_checkpoint=True, save_interval=2, gate=True, shaping=False)
    done = runtime(tmp_path / "a", asked, at=f"SIGTERM:{3 * STEPS + 8}")
    assert done.returncode == 130, done.stderr
    first = results.read(tmp_path / "a" / "outputs")
    assert first is not None and first.error is not None and first.final_checkpoint is not None
    assert (first.status, first.exit_code, first.iterations) == ("cancelled", 130, 4)
    assert first.final_checkpoint.uri == f"runs:/{first.mlflow_run_id}/checkpoints/model_3.pt"
    hint = first.error["hint"]
    assert "--checkpoint-mode resume" in hint
    assert "--skip-register-checkpoint --gate --save-interval 2 --no-shaping" in hint, (
        "all that was asked is asked again"
    )
    assert told(tmp_path / "a", "close") == ["KILLED"]
    assert told(tmp_path / "a", "checkpoint")[-1] == ["model_3.pt", 3, "checkpoints"]
    assert told(tmp_path / "a", "register") == []

    again = dataclasses.replace(JOB, checkpoint_mode="resume", checkpoint_uri=first.final_checkpoint.path)
    second = run(tmp_path / "b", again)
    assert (second.iterations, second.mlflow_run_id) == (6, first.mlflow_run_id)
    assert [step for step, _ in told(tmp_path / "b", "metrics")] == [4, 5]


def test_after_a_kill_a_resume_loses_at_most_one_save_interval(tmp_path: Path) -> None:
    done = runtime(tmp_path / "a", JOB, at=f"SIGKILL:{3 * STEPS + 16}")
    assert done.returncode == -signal.SIGKILL
    assert results.read(tmp_path / "a" / "outputs") is None
    kept = tmp_path / "a" / "outputs" / "checkpoints"
    files = ["model_0.pt", "model_2.pt", "state_0.npz", "state_2.npz"]
    assert sorted(path.name for path in kept.iterdir()) == files
    run_id = torch.load(kept / "model_2.pt", weights_only=True)["infos"]["gaitway"]["run_id"]

    again = dataclasses.replace(JOB, checkpoint_mode="resume", checkpoint_uri=str(kept))
    second = run(tmp_path / "b", again)
    assert (second.status, second.iterations, second.mlflow_run_id) == ("succeeded", 6, run_id)
    assert [step for step, _ in told(tmp_path / "b", "metrics")] == [3, 4, 5]


def test_a_training_that_was_killed_goes_on_bit_for_bit(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "gaitway_runtime")
    run(tmp_path / "whole", JOB)
    runtime(tmp_path / "a", JOB, at=f"SIGKILL:{3 * STEPS + 16}")
    again = dataclasses.replace(JOB, checkpoint_mode="resume", checkpoint_uri=str(tmp_path / "a" / "outputs"))
    run(tmp_path / "b", again)
    assert "restored state_2.npz: the training continues bit for bit" in caplog.messages
    whole, resumed = (tmp_path / name / "outputs" / "checkpoints" / "model_5.pt" for name in ("whole", "b"))
    assert digest(resumed) == digest(whole)
    measured = {"Perf/total_fps", "Perf/collection_time", "Perf/learning_time"}
    reported = [
        {step: {name: value for name, value in metrics.items() if name not in measured} for step, metrics in found}
        for found in (told(tmp_path / "whole", "metrics"), told(tmp_path / "b", "metrics"))
    ]
    assert reported[1] == {step: metrics for step, metrics in reported[0].items() if step > 2}
    assert told(tmp_path / "b", "companion") == ["state_4.npz", "state_5.npz"]


def test_a_resume_says_why_it_is_not_exact(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    run(tmp_path / "a", JOB)
    kept = tmp_path / "a" / "outputs" / "checkpoints"
    again = dataclasses.replace(JOB, checkpoint_mode="resume", checkpoint_uri=str(kept), max_iterations=7)
    alone = "the training continues from the checkpoint alone: weights, normalisers, optimiser, learning rate and "
    changes = (({"seed": 8}, "state_5.npz is not used: its seed is 42"), ({"num_envs": 2}, "its --num-envs is 4"))
    for number, (change, said) in enumerate(changes):
        caplog.clear()
        assert run(tmp_path / f"b{number}", dataclasses.replace(again, **change)).status == "succeeded"  # type: ignore[arg-type]
        (line,) = [message for message in caplog.messages if alone in message]
        assert said in line
    (kept / "state_5.npz").write_bytes(b"PK not whole")
    run(tmp_path / "c", again)
    assert "state_5.npz is not used: it is damaged" in caplog.text
    (kept / "state_5.npz").unlink()
    run(tmp_path / "d", again)
    assert "model_5.pt has no companion; the training continues from the checkpoint alone" in caplog.text


def test_an_unreadable_checkpoint_is_refused_before_a_run_is_made(tmp_path: Path) -> None:
    (tmp_path / "model_9.pt").write_bytes(b"not a checkpoint")
    job = dataclasses.replace(JOB, checkpoint_mode="resume", checkpoint_uri=str(tmp_path / "model_9.pt"))
    with pytest.raises(GaitwayError):
        run(tmp_path / "a", job)
    assert not (tmp_path / "a" / "tracked.jsonl").exists()


@pytest.fixture
def short_episodes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Episodes that end before any policy could fail in them."""
    monkeypatch.setattr(DoubleIntegrator, "max_episode_length", 4)


@pytest.mark.usefixtures("short_episodes")
def test_a_gate_that_is_passed_marks_the_registered_model(tmp_path: Path) -> None:
    result = run(tmp_path, dataclasses.replace(JOB, gate=True))
    assert (result.status, result.passed) == ("succeeded", True)
    assert result.metrics["success_rate"] == 1.0
    assert "metrics/validation.json" in result.artifacts
    assert (tmp_path / "outputs" / "metrics" / "episodes.json").is_file()
    _, _, tags = told(tmp_path, "register")[0]
    assert (tags["verdict"], tags["validated"]) == ("passed", "true")


def test_a_gate_that_is_not_passed_keeps_the_model_out_of_the_registry(tmp_path: Path) -> None:
    frozen = (*JOB.overrides, "agent.algorithm.learning_rate=0", "agent.algorithm.schedule=fixed")
    result = run(tmp_path, dataclasses.replace(JOB, gate=True, overrides=frozen))
    assert (result.status, result.exit_code, result.passed) == ("failed", 5, False)
    assert result.final_checkpoint is not None and result.final_checkpoint.iteration == 5
    assert result.error is not None and "did not pass its gate" in result.error["message"]
    assert told(tmp_path, "register") == []
    assert told(tmp_path, "close") == ["FINISHED"]
