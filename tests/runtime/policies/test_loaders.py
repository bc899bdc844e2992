"""Programs and graphs of strangers as the confined process opens them."""

from __future__ import annotations

from pathlib import Path
from typing import Optional

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from gaitway_runtime.policies.confined.loaded import Loaded
from gaitway_runtime.policies.confined.onnx_loader import load_onnx
from gaitway_runtime.policies.confined.policy_file import inspect
from gaitway_runtime.policies.confined.torchscript_loader import load_torchscript
from onnx import TensorProto, helper, numpy_helper


def script(module: torch.nn.Module, path: Path) -> Loaded:
    """Save a module as TorchScript, and open it."""
    torch.jit.save(torch.jit.script(module), path)
    return load_torchscript(path, torch)


class Remembering(torch.nn.Module):
    """A policy that keeps its hidden state in buffers for one robot, as exports of legged_gym do."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.memory = torch.nn.LSTM(6, 4)
        self.actor = torch.nn.Linear(4, 2)
        self.hidden_state = torch.nn.Buffer(torch.zeros(1, 1, 4))
        self.cell_state = torch.nn.Buffer(torch.zeros(1, 1, 4))

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """Answer one robot."""
        found, (hidden, cell) = self.memory(rows.unsqueeze(0), (self.hidden_state, self.cell_state))
        self.hidden_state[:] = hidden
        self.cell_state[:] = cell
        return self.actor(found.squeeze(0))


class Counting(torch.nn.Module):
    """A policy with a clock of its own, which starts at a quarter."""

    def __init__(self) -> None:
        super().__init__()
        self.actor = torch.nn.Linear(6, 2)
        self.phase = torch.nn.Buffer(torch.tensor(0.25))

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """Answer, and let time pass."""
        self.phase += 0.02
        return self.actor(rows) + torch.sin(self.phase)


class Inner(torch.nn.Module):
    """A memory in a plain attribute: a tuple, as torch's LSTM takes it."""

    def __init__(self) -> None:
        super().__init__()
        self.memory = torch.nn.LSTM(6, 4)
        self.state = (torch.zeros(1, 1, 4), torch.zeros(1, 1, 4))

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """Answer one robot."""
        found, self.state = self.memory(rows.unsqueeze(0), self.state)
        return found.squeeze(0)


class Attributed(torch.nn.Module):
    """A policy that keeps its hidden state in plain attributes, which no state dict has; some with a clock."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.inner = Inner()
        self.actor = torch.nn.Linear(4, 2)
        self.last = torch.zeros(1, 2)

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """Answer one robot."""
        self.last = 0.5 * self.last + self.actor(self.inner(rows))
        return self.last


class Clocked(Attributed):
    """The same with a clock and a count of steps."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = 0.25
        self.steps = 3

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """Answer one robot, and let time pass."""
        self.clock += 0.02
        self.steps += 1
        return self.actor(self.inner(rows)) + self.clock * self.steps


@pytest.mark.parametrize("module", [Attributed, Clocked])
def test_a_state_in_plain_attributes_is_kept_for_each_robot(module: type, tmp_path: Path) -> None:
    asked = script(module(), tmp_path / "policy.pt")
    fresh = lambda: torch.jit.load(tmp_path / "policy.pt")  # noqa: E731
    alone = [fresh() for _ in range(3)]
    rng = np.random.default_rng(0)
    for step in range(4):
        rows = rng.normal(size=(3, 6)).astype(np.float32)
        if step == 2:
            alone[1] = fresh()
            asked.reset(np.array([False, True, False]))
        with torch.inference_mode():
            wanted = [each(torch.from_numpy(row[None])).numpy() for each, row in zip(alone, rows, strict=True)]
        np.testing.assert_allclose(asked.act(rows), np.concatenate(wanted), atol=1e-6)
    assert asked.batched == (module is Attributed)


class Growing(torch.nn.Module):
    """A policy whose memory is nothing at first."""

    def __init__(self) -> None:
        super().__init__()
        self.actor = torch.nn.Linear(6, 2)
        self.last = torch.jit.Attribute(None, Optional[torch.Tensor])  # noqa: UP045

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """Answer one robot."""
        found, last = self.actor(rows), self.last
        if last is not None:
            found = found + last
        self.last = found
        return found


@pytest.mark.parametrize("module", [Remembering, Counting])
def test_a_state_inside_is_kept_for_each_robot_and_starts_anew_with_its_episode(module: type, tmp_path: Path) -> None:
    asked = script(module(), tmp_path / "policy.pt")
    alone = [module() for _ in range(3)]
    start = torch.jit.load(tmp_path / "policy.pt").state_dict()
    for each in alone:
        each.load_state_dict(start)
    rng = np.random.default_rng(0)
    for step in range(4):
        rows = rng.normal(size=(3, 6)).astype(np.float32)
        if step == 2:
            alone[1].load_state_dict(start)
            asked.reset(np.array([False, True, False]))
        with torch.inference_mode():
            wanted = [each(torch.from_numpy(row[None])).numpy() for each, row in zip(alone, rows, strict=True)]
        np.testing.assert_allclose(asked.act(rows), np.concatenate(wanted), atol=1e-6)


class Drawing(torch.nn.Module):
    """A policy that draws its actions."""

    def __init__(self) -> None:
        super().__init__()
        self.actor = torch.nn.Linear(6, 2)

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """Draw."""
        mean = self.actor(rows)
        return mean + torch.randn_like(mean)


class Named(torch.nn.Module):
    """A policy that takes its observations by name."""

    def forward(self, rows: dict[str, torch.Tensor]) -> torch.Tensor:
        """Answer."""
        return rows["policy"]


class Historic(torch.nn.Module):
    """A policy that takes an observation and its history."""

    def forward(self, rows: torch.Tensor, history: torch.Tensor) -> torch.Tensor:
        """Answer."""
        return rows + history


@pytest.mark.parametrize(
    ("module", "reason"),
    [
        (Drawing, "its answers to one observation differ: it draws at random"),
        (Growing, "it keeps a hidden state inside that changes its shape, last: let it begin with a tensor of zeros"),
        (Named, r"it takes Dict\[str, Tensor\], not one vector"),
        (Historic, r"it takes 2 inputs \(rows, history\)"),
    ],
)
def test_a_program_that_is_no_function_of_one_vector_says_why(module: type, reason: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=reason):
        script(module(), tmp_path / "policy.pt")


WEIGHT = np.arange(12, dtype=np.float32).reshape(6, 2) / 10


def write_graph(
    path: Path, inputs: dict[str, list], outputs: dict[str, list], *nodes: onnx.NodeProto, **weights
) -> Path:
    """Write an ONNX file."""

    def ends(sizes: dict[str, list]) -> list[onnx.ValueInfoProto]:
        return [helper.make_tensor_value_info(name, TensorProto.FLOAT, size) for name, size in sizes.items()]

    given = [numpy_helper.from_array(value, name) for name, value in {"weight": WEIGHT, **weights}.items()]
    made = helper.make_graph(nodes, "policy", ends(inputs), ends(outputs), given)
    onnx.save(helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
    return path


def product(source: str, weight: str, name: str) -> onnx.NodeProto:
    return helper.make_node("MatMul", [source, weight], [name])


@pytest.mark.parametrize("kind", ["plain", "value first", "state first", "for 4096 robots"])
def test_an_onnx_file_is_asked_for_its_actions(kind: str, tmp_path: Path) -> None:
    path, actions = tmp_path / "policy.onnx", product("obs", "weight", "actions")
    if kind == "value first":
        value = product("obs", "column", "value")
        ends = {"value": [1, 1], "actions": [1, 2]}
        write_graph(path, {"obs": [1, 6]}, ends, value, actions, column=np.ones((6, 1), np.float32))
    elif kind == "state first":
        state = helper.make_node("Identity", ["state_in"], ["state_out"])
        ends = {"state_out": [1, 1, 4], "actions": [1, 2]}
        write_graph(path, {"state_in": [1, 1, 4], "obs": [1, 6]}, ends, state, actions)
    else:
        batch = 4096 if kind == "for 4096 robots" else 1
        write_graph(path, {"obs": [batch, 6]}, {"actions": [batch, 2]}, actions)
    rows = np.random.default_rng(0).normal(size=(5, 6)).astype(np.float32)
    assert inspect(path).kind == "onnx"
    np.testing.assert_allclose(load_onnx(path, onnx, onnxruntime).act(rows), rows @ WEIGHT, atol=1e-5)


def test_answers_that_are_no_numbers_are_refused_as_the_file_is_opened(tmp_path: Path) -> None:
    path = write_graph(
        tmp_path / "policy.onnx",
        {"obs": [1, 6]},
        {"actions": [1, 2]},
        product("obs", "bad", "actions"),
        bad=np.full((6, 2), np.nan, np.float32),
    )
    with pytest.raises(ValueError, match="numbers that are not finite"):
        load_onnx(path, onnx, onnxruntime)
