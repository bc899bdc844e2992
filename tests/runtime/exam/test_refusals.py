"""Policies that cannot be examined: one clear sentence each, before anything of the file has run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from gaitway_runtime.exam.examine import ExamRequest, examine
from gaitway_runtime.exam.subject import spec_of, task_for
from gaitway_runtime.policies.confined.policy_file import inspect
from gaitway_runtime.policies.confined.process import ConfinedPolicy
from gaitway_runtime.simulators.mujoco.contract import build_contract
from gaitway_runtime.simulators.mujoco.models import compile_robot
from gaitway_runtime.spec.errors import UsageError
from onnx import TensorProto, helper

from . import strangers
from .strangers import Dressing


def plain(path: Path, *, inputs: int = 48, outputs: int = 12) -> onnx.ModelProto:
    weight = np.zeros((inputs, outputs), np.float32)
    strangers.save(
        [helper.make_node("MatMul", ["obs", "weight"], ["actions"])],
        {"weight": weight},
        path,
        inputs=inputs,
        outputs=outputs,
    )
    return onnx.load(str(path))


def outside(model: onnx.ModelProto) -> None:
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "../secret.bin"


def newer(model: onnx.ModelProto) -> None:
    model.opset_import[0].version = 999


def custom(model: onnx.ModelProto) -> None:
    model.graph.node[0].domain = "my.robot"
    model.opset_import.append(helper.make_opsetid("my.robot", 1))


def huge(model: onnx.ModelProto) -> None:
    model.graph.initializer[0].dims[:] = [1 << 20, 1 << 20]


def a_clock_input(model: onnx.ModelProto) -> None:
    model.graph.input.append(helper.make_tensor_value_info("time_step", TensorProto.FLOAT, [1, 1]))


REFUSED: dict[Callable[[onnx.ModelProto], None], str] = {
    outside: "weights are said to be in ../secret.bin, outside its folder",
    newer: "needs ONNX operator set 999",
    custom: "has the custom operator my.robot::MatMul",
    huge: "has 1,099,511,627,776 values",
    a_clock_input: "has a second input, time_step",
}


@pytest.mark.parametrize("change", REFUSED, ids=lambda change: change.__name__)
def test_an_onnx_file_that_asks_for_what_is_not_given(
    change: Callable[[onnx.ModelProto], None], tmp_path: Path
) -> None:
    model = plain(tmp_path / "policy.onnx")
    change(model)
    (tmp_path / "policy.onnx").write_bytes(model.SerializeToString())
    (tmp_path.parent / "secret.bin").write_bytes(b"0")
    with pytest.raises(UsageError) as refused:
        inspect(tmp_path / "policy.onnx")
    assert REFUSED[change] in refused.value.message


def test_a_file_that_is_no_policy(tmp_path: Path) -> None:
    (tmp_path / "policy.onnx").write_bytes(b"\x08\x07not a model")
    with pytest.raises(UsageError, match="not an ONNX file"):
        inspect(tmp_path / "policy.onnx")
    with pytest.raises(UsageError, match="no such policy"):
        inspect(tmp_path / "other.onnx")


class Mapper(torch.nn.Module):
    """A policy that makes a file when it is asked."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(48, 12)

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """Make a file of the answers' size."""
        mapped = torch.from_file("left-behind.bin", True, 12)
        return self.layer(rows) + mapped


def test_torchscript_that_writes_files_is_refused_before_it_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.jit.save(torch.jit.script(Mapper()), str(tmp_path / "policy.pt"))
    with pytest.raises(UsageError, match="does more than compute"):
        inspect(tmp_path / "policy.pt")
    # And were it not seen, the process that runs it could not do it.
    with pytest.raises(UsageError, match="cannot be run"):
        ConfinedPolicy(tmp_path / "policy.pt", "torchscript")
    assert [path.name for path in tmp_path.iterdir()] == ["policy.pt"]


@pytest.mark.parametrize(
    ("inputs", "outputs", "robot", "sentence"),
    [
        (1001, 12, "anymal_c", "1001 inputs are no layout that is known"),
        (48, 12, "h1", "has 12 outputs, unitree_h1 has 19 joints"),
        (48, 12, None, "does not say which robot it is for"),
        (48, 12, "spot", "no robot of that name walks here"),
    ],
)
def test_a_policy_that_fits_nothing(
    inputs: int, outputs: int, robot: str | None, sentence: str, tmp_path: Path
) -> None:
    plain(tmp_path / "policy.onnx", inputs=inputs, outputs=outputs)
    with pytest.raises(UsageError) as refused:
        examine(ExamRequest(policy=tmp_path / "policy.onnx", output=tmp_path / "card", robot=robot))
    assert sentence in refused.value.message
    assert not (tmp_path / "card").exists()


def test_a_search_takes_the_robot_from_a_contract_that_it_does_not_believe(tmp_path: Path) -> None:
    plain(tmp_path / "policy.onnx", inputs=1001)
    task = task_for("anymal_c", None, None, 12)
    contract = build_contract(task, compile_robot(task.robot, timestep=0.005), spec_of(task), "mujoco")
    (tmp_path / "contract.json").write_text(contract.to_json())
    with pytest.raises(UsageError, match="no layout that is known for a robot with 12 joints"):
        examine(ExamRequest(policy=tmp_path / "policy.onnx", output=tmp_path / "card", find=True))
    (tmp_path / "contract.json").write_text("{")
    with pytest.raises(UsageError, match="does not say which robot it is for"):
        examine(ExamRequest(policy=tmp_path / "policy.onnx", output=tmp_path / "card", find=True))


def test_a_batch_of_one_is_asked_as_many(tmp_path: Path) -> None:
    path = strangers.write_onnx(strangers.ANYMAL, Dressing(), tmp_path / "policy.onnx")
    rows = np.random.default_rng(0).normal(size=(7, 48)).astype(np.float32)
    with ConfinedPolicy(path, "onnx") as policy:
        np.testing.assert_allclose(policy.act(rows), strangers.network_of(strangers.ANYMAL)(rows), atol=1e-5)
