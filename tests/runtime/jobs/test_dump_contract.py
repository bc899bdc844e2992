"""``dump-contract``: the contract as a document, and a trace that can be had again."""

from pathlib import Path

import numpy as np
import pytest
from gaitway_runtime.jobs import base
from gaitway_runtime.process.lifecycle import Progress, StopRequest
from gaitway_runtime.spec.contract import PolicyContract
from gaitway_runtime.spec.job import DumpContractJob
from gaitway_runtime.spec.run_context import RunContext
from gaitway_runtime.tracking import mlflow_tracker

from tests.fakes.tracker import open_tracker, told


@pytest.fixture(autouse=True)
def _recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mlflow_tracker, "open_tracker", open_tracker)


def run(folder: Path):
    workspace = base.Workspace(folder, StopRequest(), Progress(folder))
    job = DumpContractJob(task="Isaac-Cartpole-v0", simulator="mujoco", max_steps=40, seed=5)
    return base.load(job.kind).run(job, RunContext(), workspace)


def test_a_task_is_dumped_as_contract_and_trace(tmp_path: Path) -> None:
    result = run(tmp_path / "a")
    assert result.status == "succeeded" and result.simulator == "mujoco"
    contract = PolicyContract.from_json((tmp_path / "a" / "contract.json").read_text())
    assert contract.task == "Isaac-Cartpole-v0"
    trace = np.load(tmp_path / "a" / "trace.npz")
    assert trace["observations"].shape == (41, contract.observation_size)
    assert trace["actions"].shape == (40, contract.action_size)
    assert trace["rewards"].shape == trace["ended"].shape == (40,)
    assert trace["states"].shape == (41, 2)
    assert list(trace["reward_names"]) == ["alive", "terminating", "pole_pos", "cart_vel", "pole_vel"]
    assert trace["reward_terms"].sum(axis=1) == pytest.approx(trace["rewards"], abs=1e-6)
    assert np.abs(np.diff(trace["observations"], axis=0)).max() > 1e-3
    assert told(tmp_path, "publish") == [["contract.json", ""], ["trace.npz", ""]]
    assert told(tmp_path, "close") == ["FINISHED"]
    run(tmp_path / "b")
    again = np.load(tmp_path / "b" / "trace.npz")
    assert all(np.array_equal(trace[name], again[name]) for name in trace.files)
