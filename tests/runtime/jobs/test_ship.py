"""The chain of stages: which jobs they are, where it stops, and where it goes on."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from gaitway_runtime.jobs import ship
from gaitway_runtime.jobs.base import Workspace
from gaitway_runtime.jobs.register import verdict_tags
from gaitway_runtime.process.lifecycle import Progress, StopRequest
from gaitway_runtime.spec.chain import STAGES, Stage, stages
from gaitway_runtime.spec.errors import GateFailed, JobFailed
from gaitway_runtime.spec.job import InferJob, RegisterJob, ShipJob, TrainJob, ValidateJob
from gaitway_runtime.spec.run_context import RunContext

STAND_IN = """
import json, os, sys
from pathlib import Path
folder = Path(sys.argv[1])
name = folder.name
(folder / "metrics").mkdir(exist_ok=True)
(folder / "metrics" / f"{name}.json").write_text("{}")
result = json.loads(sys.argv[2])
result |= {"kind": name, "task": "T", "artifacts": [f"metrics/{name}.json"], "final_checkpoint": None}
(folder / "result.json").write_text(json.dumps(result))
"""


def outputs_of(reader: str, read: str) -> str:
    return f"/in/{reader}/{read}"


def test_each_stage_takes_over_what_it_shares_with_the_chain() -> None:
    job = ShipJob(
        task="Isaac-Ant-v0", num_envs=512, seed=7, eval_episodes=9, format="onnx", register_checkpoint="my-ant"
    )
    train, gate, infer, register = (stage.job for stage in stages(job, outputs_of))
    assert isinstance(train, TrainJob)
    assert (train.num_envs, train.seed, train.skip_register_checkpoint) == (512, 7, True)
    assert isinstance(gate, ValidateJob)
    assert (gate.checkpoint_uri, gate.num_envs, gate.eval_episodes) == ("/in/gate/train/checkpoints", 64, 9)
    assert isinstance(infer, InferJob)
    assert (infer.checkpoint_uri, infer.num_envs, infer.format) == ("/in/infer/train/checkpoints", 4, "onnx")
    assert isinstance(register, RegisterJob)
    assert (register.register_checkpoint, register.verdict_from) == ("my-ant", "/in/register/gate")
    assert register.exports_from == "/in/register/infer"


def test_a_chain_that_shall_not_register_ends_with_the_exports() -> None:
    found = stages(ShipJob(skip_register_checkpoint=True), outputs_of)
    assert [stage.name for stage in found] == ["train", "gate", "infer"]


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path, StopRequest(), Progress(tmp_path, quiet=True))


def play(monkeypatch: pytest.MonkeyPatch, fails: str = "") -> list[str]:
    """Let stages be a stand-in's; return the names of those that are run, as they are run."""
    ran: list[str] = []

    def command(stage: Stage, path: Path) -> list[str]:
        ran.append(stage.name)
        bad = {"status": "failed", "exit_code": 5, "error": {"message": "not met", "exit_code": 5}, "passed": False}
        good = {"status": "succeeded", "passed": True, "registered_model": {"name": "t", "version": "1"}}
        result = json.dumps(bad if stage.name == fails else good)
        return [sys.executable, "-c", STAND_IN, str(path.parent), result]

    monkeypatch.setattr(ship, "_command", command)
    return ran


def test_all_stages_come_to_one_result(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    ran = play(monkeypatch)
    result = ship.run(ShipJob(task="T"), RunContext(), workspace)
    assert ran == list(STAGES)
    assert (result.kind, result.status, result.passed) == ("ship", "succeeded", True)
    assert result.registered_model == {"name": "t", "version": "1"}
    assert result.artifacts == tuple(f"metrics/{name}.json" for name in STAGES)
    assert all((workspace.output_dir / path).is_file() for path in result.artifacts)
    assert not (workspace.output_dir / "result.json").exists(), "the chain continues until its own result is written"


def test_a_gate_not_met_ends_the_chain_and_started_anew_it_goes_on_there(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = play(monkeypatch, fails="gate")
    result = ship.run(ShipJob(task="T"), RunContext(), workspace)
    assert (ran, result.status, result.exit_code) == (["train", "gate"], "failed", 5)
    assert (result.passed, result.registered_model) == (False, None)
    again = play(monkeypatch)
    result = ship.run(ShipJob(task="T"), RunContext(), workspace)
    assert (again, result.status) == (["gate", "infer", "register"], "succeeded")


def test_only_a_policy_that_has_met_its_gate_is_registered(tmp_path: Path) -> None:
    with pytest.raises(JobFailed, match="no verdict"):
        verdict_tags(tmp_path)
    (tmp_path / "metrics").mkdir()
    path = tmp_path / "metrics/validation.json"
    path.write_text(json.dumps({"passed": False}))
    with pytest.raises(GateFailed):
        verdict_tags(tmp_path)
    path.write_text(json.dumps({"passed": True, "schema": 1, "mean_reward": 4.5}))
    assert verdict_tags(tmp_path) == {"validated": "true", "verdict": "passed", "validation.mean_reward": "4.5"}
