"""The adapter of Isaac Lab 2.2 and 2.3, through whole runtime processes, on a stand-in for the simulator."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from gaitway_runtime.process.lifecycle import PROGRESS_FILE
from gaitway_runtime.simulators.isaaclab.overriding import apply_overrides
from gaitway_runtime.spec import result as results
from gaitway_runtime.spec.errors import UsageError
from gaitway_runtime.spec.job import DumpContractJob, InferJob, Job, TrainJob
from gaitway_runtime.spec.job_document import to_document
from gaitway_runtime.spec.result import Result
from gaitway_runtime.spec.run_context import RunContext

from tests.fakes.tracker import told

ROOT = Path(__file__).resolve().parents[3]
STAND_IN = ROOT / "tests" / "fakes" / "isaaclab2"


def begin(folder: Path, job: Job, **environ: str) -> subprocess.Popen[str]:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "job.json").write_text(json.dumps(to_document(job, RunContext(run="rail"))))
    path = os.pathsep.join((str(STAND_IN), str(ROOT / "src" / "training"), str(ROOT)))
    accepted = {"ACCEPT_EULA": "Y", "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, str(STAND_IN / "run.py")],
        cwd=folder,
        env={**os.environ, **accepted, "PYTHONPATH": path, **environ},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def run(folder: Path, job: Job, **environ: str) -> tuple[Result, str]:
    process = begin(folder, job, **environ)
    printed, _ = process.communicate(timeout=120)
    result = results.read(folder / "outputs")
    assert result is not None, printed
    return result, printed


def train_job(**settings: Any) -> TrainJob:
    return TrainJob(**{"task": "Isaac-Rail-v0", "simulator": "isaaclab", "num_envs": 8, "seed": 5, **settings})


def load(path: str | Path) -> dict[str, Any]:
    found: dict[str, Any] = torch.load(path, weights_only=True)
    return found


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result, str]:
    """Return a training with rsl_rl: its folder, its result, and what it printed."""
    folder = tmp_path_factory.mktemp("trained")
    return folder, *run(folder, train_job(overrides=("env.episode_length_s=0.4",)))


def test_a_training_has_the_tasks_own_settings(trained: tuple[Path, Result, str]) -> None:
    folder, result, printed = trained
    assert (result.status, result.iterations, result.steps) == ("succeeded", 6, 6 * 8 * 8), printed
    lines = printed.splitlines()
    started = next(line for line in lines if line.startswith("application started"))
    assert "('headless', True)" in started
    # The result is written before the simulator goes, which here ends the process itself.
    assert lines[-2:] == ["environment closed", "application closed"]
    assert [step for step, _ in told(folder, "metrics")] == [0, 1, 2, 3, 4, 5]
    assert any("Train/mean_reward" in metrics for _, metrics in told(folder, "metrics"))
    assert list((folder / "outputs" / "tensorboard").glob("events*"))


def test_a_training_goes_on_and_is_judged_in_an_environment_of_its_own(
    trained: tuple[Path, Result, str], tmp_path: Path
) -> None:
    again = train_job(checkpoint_uri=final(trained), checkpoint_mode="resume", max_iterations=8, gate=True)
    result, printed = run(tmp_path, again)
    assert (result.status, result.iterations, result.steps) == ("succeeded", 8, 2 * 8 * 8), printed
    assert [step for step, _ in told(tmp_path, "metrics")] == [6, 7]
    assert result.final_checkpoint is not None and Path(result.final_checkpoint.path).name == "model_7.pt"
    assert result.passed


def test_a_policy_is_exported_and_played_in_the_tasks_evaluation_form(
    trained: tuple[Path, Result, str], tmp_path: Path
) -> None:
    asked = {"checkpoint_uri": final(trained), "format": "onnx", "max_steps": 60, "video_length": 0}
    job = InferJob(task="Isaac-Rail-v0", simulator="isaaclab", **asked)  # type: ignore[arg-type]
    played, printed = run(tmp_path, job)
    assert played.status == "succeeded", printed
    assert played.metrics["onnx"]["total_episodes"] == 4
    assert played.metrics["onnx"]["parity"]["passed"]


def test_skrl_trains_by_its_own_document(tmp_path: Path) -> None:
    result, printed = run(tmp_path, train_job(backend="skrl"))
    assert (result.status, result.iterations, result.steps) == ("succeeded", 6, 6 * 8 * 8), printed
    assert [step for step, _ in told(tmp_path, "metrics")] == [0, 1, 2, 3, 4, 5]


def final(trained: tuple[Path, Result, str]) -> str:
    _, result, printed = trained
    assert result.final_checkpoint is not None, printed
    return result.final_checkpoint.path


def test_sigterm_saves_though_the_application_has_taken_the_signal_over(tmp_path: Path) -> None:
    process = begin(tmp_path, train_job(max_iterations=100_000))
    progress = tmp_path / "outputs" / PROGRESS_FILE
    while process.poll() is None and not (progress.exists() and '"iteration"' in progress.read_text()):
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    printed, _ = process.communicate(timeout=60)
    result = results.read(tmp_path / "outputs")
    assert result is not None and result.final_checkpoint is not None, printed
    assert (result.status, result.exit_code) == ("cancelled", 130)
    assert load(result.final_checkpoint.path)["iter"] == result.final_checkpoint.iteration
    assert told(tmp_path, "close") == ["KILLED"]


def test_the_evaluation_form_of_a_task_is_found_and_assets_can_come_from_a_mirror(tmp_path: Path) -> None:
    job = DumpContractJob(task="Isaac-Rail-v0", simulator="isaaclab", max_steps=3)
    result, printed = run(tmp_path, job, ISAACSIM_ASSET_ROOT="/mirror/")
    assert result.status == "succeeded", printed
    assert "--/persistent/isaac/asset_root/cloud=/mirror" in printed
    contract = json.loads((tmp_path / "outputs" / "contract.json").read_text())
    assert contract["timing"]["control_dt"] == 0.02


@pytest.mark.parametrize(
    ("job", "exit_code", "message"),
    [
        (train_job(task="Isaac-Bare-v0"), 3, "task 'Isaac-Bare-v0' has no settings for rsl_rl"),
        (train_job(overrides=("env.decimatoin=4",)), 2, "unknown key 'env.decimatoin'"),
    ],
    ids=["settings", "override"],
)
def test_what_cannot_be_is_said_and_the_simulator_still_ends(
    tmp_path: Path, job: Job, exit_code: int, message: str
) -> None:
    result, printed = run(tmp_path, job)
    assert result.error is not None
    assert (result.exit_code, result.error["message"]) == (exit_code, message)
    assert printed.splitlines()[-1] == "application closed"


def test_an_application_that_fails_to_start_is_heard(tmp_path: Path) -> None:
    result, _ = run(tmp_path, train_job(), FAKE_KIT_FAILS="1")
    assert result.error is not None and "no suitable GPU" in result.error["message"]


class Config:
    def __init__(self) -> None:
        self.number, self.whole, self.flag, self.pair, self.word, self.nothing = 1.5, 2, True, (1.0, 2.0), "a", None
        self.parts = {"rows": [1, 2]}


def test_overrides_keep_the_kind_of_what_they_replace() -> None:
    config = Config()
    texts = ("number=3", "whole=7", "flag=false", "pair=[4,5]", "word=b", "nothing=0.1", "parts.rows.1=9")
    apply_overrides([f"env.{text}" for text in texts], {"env": config})
    found = (config.number, config.whole, config.flag, config.pair, config.word, config.nothing, config.parts)
    assert found == (3.0, 7, False, (4, 5), "b", 0.1, {"rows": [1, 9]})
    assert isinstance(config.number, float)


@pytest.mark.parametrize("text", ["env.flag=maybe", "env.pair.0=3"])
def test_overrides_of_another_kind_are_refused(text: str) -> None:
    with pytest.raises(UsageError):
        apply_overrides([text], {"env": Config()})
