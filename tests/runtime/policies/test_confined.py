"""Policies in the confined process: hidden states are kept, rows of another length refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from gaitway_runtime.exam.subject import spec_of, task_for
from gaitway_runtime.policies.confined.policy_file import inspect, opened
from gaitway_runtime.policies.export import export_policy
from gaitway_runtime.policies.sessions import checkpoint_session
from gaitway_runtime.simulators.mujoco.contract import build_contract
from gaitway_runtime.simulators.mujoco.models import compile_robot
from gaitway_runtime.spec.errors import UsageError

from .targets.samples import policy_for
from .test_loaders import WEIGHT, product, write_graph

TASK = task_for("go2", None, None, 12)


@pytest.mark.parametrize("kind", ["lstm", "gru"])
@pytest.mark.parametrize("format", ["onnx", "jit"])
def test_a_recurrent_export_answers_as_its_checkpoint(kind: str, format: str, tmp_path: Path) -> None:
    contract = build_contract(TASK, compile_robot(TASK.robot, timestep=0.005), spec_of(TASK), "mujoco")
    policy = policy_for(contract, kind)
    path = export_policy(policy, contract, tmp_path, (format,))[format]
    session, rng = checkpoint_session(policy), np.random.default_rng(0)
    with opened(inspect(path)) as asked:
        assert asked.recurrent
        for step in range(4):
            rows = rng.normal(size=(3, contract.observation_size)).astype(np.float32)
            if step == 2:
                ended = np.array([False, True, False])
                session.reset(ended)
                asked.reset(ended)
            np.testing.assert_allclose(asked.act(rows), session.act(rows), atol=1e-5)
        with pytest.raises(UsageError, match="takes 48 inputs, not 47"):
            asked.act(rows[:, :47])


def test_weights_beside_an_onnx_file_are_read(tmp_path: Path) -> None:
    path = write_graph(
        tmp_path / "policy.onnx", {"obs": [1, 6]}, {"actions": [1, 2]}, product("obs", "weight", "actions")
    )
    model = onnx.load(path)
    onnx.save(model, path, save_as_external_data=True, location="policy.onnx.data", size_threshold=0)
    assert (tmp_path / "policy.onnx.data").is_file()
    rows = np.random.default_rng(0).normal(size=(5, 6)).astype(np.float32)
    with opened(inspect(path)) as asked:
        np.testing.assert_allclose(asked.act(rows), rows @ WEIGHT, atol=1e-5)


class Single(torch.nn.Module):
    """A policy of one robot alone."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(6, 2)

    def forward(self, row: torch.Tensor) -> torch.Tensor:
        """Answer a vector that is in no batch."""
        assert row.dim() == 1, "one robot at a time"
        return self.layer(row)


def test_the_error_of_a_program_is_told_and_not_the_head_of_its_traceback(tmp_path: Path) -> None:
    torch.jit.script(Single()).save(str(tmp_path / "policy.pt"))
    with (
        pytest.raises(UsageError, match=r"cannot be run: .*one robot at a time"),
        opened(inspect(tmp_path / "policy.pt")),
    ):
        pass
