"""Whole loop in one ONNX file: sensors in, joint targets out; scales, offsets, history and last action are inside.

Memories go out as ``<name>_out`` and come back in as ``<name>_in``; all start at zero.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from ...spec.contract import CONTRACT_KEY, ObservationTerm, PolicyContract
from ..bundles import LOOP_FILE
from ..network import Policy
from .base import ExportTarget, command_names, frame_scales, frame_size, of_terms
from .graph import COMPARED, write_graph


@dataclass(frozen=True)
class Sensor:
    """An input of the loop that the robot measures, or is told."""

    name: str
    size: int
    quantity: str
    elements: tuple[str, ...]
    """Name of each value."""


_VECTORS = {
    "base_linear_velocity": "base_lin_vel",
    "base_angular_velocity": "base_ang_vel",
}
_SENSED = (*_VECTORS, "projected_gravity", "joint_position", "joint_velocity", "velocity_command", "height_scan")


@of_terms
def problems(policy: Policy, contract: PolicyContract) -> Iterator[str]:
    """Yield what the loop has no sensor for."""
    for term in contract.observations:
        if term.quantity not in (*_SENSED, "last_action"):
            yield f"no sensor gives its observation {term.name} ({term.quantity})"
        if term.quantity in ("joint_position", "joint_velocity") and not term.joint_names:
            yield f"the joints of its observation {term.name} are not given"
    if contract.action_size and any(term.kind not in ("joint_position", "joint_effort") for term in contract.actions):
        yield "its actions are neither joint positions nor efforts"


def sensors_of(contract: PolicyContract) -> tuple[Sensor, ...]:
    """Return the inputs that are measured, each once, in the order in which the terms first need them."""
    joints = contract.robot.joint_names
    found: dict[str, Sensor] = {}
    for term in contract.observations:
        size, quantity = frame_size(term), term.quantity
        if quantity in _VECTORS:
            found.setdefault(quantity, Sensor(_VECTORS[quantity], 3, quantity, ("x", "y", "z")))
        elif quantity == "projected_gravity":
            found.setdefault(quantity, Sensor("base_quat", 4, quantity, ("qx", "qy", "qz", "qw")))
        elif quantity in ("joint_position", "joint_velocity"):
            name = "joint_pos" if quantity == "joint_position" else "joint_vel"
            found.setdefault(quantity, Sensor(name, len(joints), quantity, joints))
        elif quantity == "velocity_command":
            name = term.command or term.name
            found.setdefault(name, Sensor(name, size, quantity, command_names(term, contract)))
        elif quantity == "height_scan":
            found.setdefault(term.name, Sensor(term.name, size, quantity, tuple(f"point_{n}" for n in range(size))))
    return tuple(found.values())


class WholeLoop(nn.Module):
    """``sensors, memories -> targets, memories`` of one robot."""

    def __init__(self, policy: Policy, contract: PolicyContract) -> None:
        super().__init__()
        self.policy = policy.module
        self.terms = contract.observations
        self.sensors = sensors_of(contract)
        self.action_size = policy.action_size
        self.states = policy.state_names
        self.histories = [term for term in self.terms if term.history > 1]
        joints = contract.robot.joint_names
        place = {sensor.name: number for number, sensor in enumerate(self.sensors)}
        self.sources = [self._source(term, contract, place) for term in self.terms]
        for number, term in enumerate(self.terms):
            order = [joints.index(joint) for joint in term.joint_names if joint in joints]
            columns = order if term.quantity in ("joint_position", "joint_velocity") else range(frame_size(term))
            self.register_buffer(f"columns_{number}", torch.tensor(list(columns)))
            self.register_buffer(f"offset_{number}", _row(term.offset[: frame_size(term)] or [0.0] * frame_size(term)))
            self.register_buffer(f"scale_{number}", _row(frame_scales(term)))
        self.action_scale = nn.Buffer(_row([value for term in contract.actions for value in term.scale]))
        self.action_offset = nn.Buffer(_row([value for term in contract.actions for value in term.offset]))
        bounds = [pair for term in contract.actions for pair in term.bounds]
        self.low = nn.Buffer(_row([low for low, _ in bounds]))
        self.high = nn.Buffer(_row([high for _, high in bounds]))

    @staticmethod
    def _source(term: ObservationTerm, contract: PolicyContract, place: dict[str, int]) -> int:
        """Return the number of the sensor that a term reads; -1 for the last action."""
        if term.quantity == "last_action":
            return -1
        wanted = next(
            sensor.name
            for sensor in sensors_of(contract)
            if sensor.quantity == term.quantity
            and (term.quantity not in ("velocity_command", "height_scan") or sensor.name in (term.command, term.name))
        )
        return place[wanted]

    @property
    def memories(self) -> dict[str, tuple[int, ...]]:
        """Shape of each memory by name, the batch of one first."""
        found: dict[str, tuple[int, ...]] = {"last_action": (1, self.action_size)}
        if self.histories:
            found["started"] = (1, 1)
        found |= {f"h_{term.name}": (1, term.history, frame_size(term)) for term in self.histories}
        rnn = getattr(self.policy, "rnn", None)
        return found | {name: (rnn.num_layers, 1, rnn.hidden_size) for name in self.states if rnn is not None}

    def forward(self, *inputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return the targets, then the memories in the order of their names."""
        sensed, memory = inputs[: len(self.sensors)], dict(zip(self.memories, inputs[len(self.sensors) :], strict=True))
        after: dict[str, torch.Tensor] = {}
        parts = [self._term(number, sensed, memory, after) for number in range(len(self.terms))]
        observation = torch.cat(parts, dim=1)
        found = self.policy(observation, *(memory[name] for name in self.states))
        action, *states = found if isinstance(found, tuple) else (found,)
        target = self.action_offset + self.action_scale * action
        target = torch.minimum(torch.maximum(target, self.low), self.high)
        after |= {"last_action": action, **dict(zip(self.states, states, strict=True))}
        if self.histories:
            after["started"] = torch.ones_like(memory["started"])
        return target, *(after[name] for name in self.memories)

    def _term(
        self,
        number: int,
        sensed: tuple[torch.Tensor, ...],
        memory: dict[str, torch.Tensor],
        after: dict[str, torch.Tensor],
    ) -> torch.Tensor:
        term, source = self.terms[number], self.sources[number]
        raw = memory["last_action"] if source < 0 else sensed[source]
        if term.quantity == "projected_gravity":
            raw = gravity(raw)
        value: torch.Tensor = raw[:, getattr(self, f"columns_{number}")] - getattr(self, f"offset_{number}")
        if term.clip:
            value = torch.clamp(value, term.clip[0], term.clip[1])
        value = value * getattr(self, f"scale_{number}")
        if term.history == 1:
            return value
        before = memory[f"h_{term.name}"]
        shifted = torch.cat([before[:, 1:], value[:, None]], dim=1)
        first = value[:, None].expand(-1, term.history, -1)
        frames = torch.where(memory["started"][:, :, None] > 0, shifted, first)
        after[f"h_{term.name}"] = frames
        return frames.reshape(1, -1)


def _row(values: Iterable[float]) -> torch.Tensor:
    return torch.tensor(list(values), dtype=torch.float32)[None]


def gravity(quaternion: torch.Tensor) -> torch.Tensor:
    """Return gravity's direction in the base frame from the base's orientation (x, y, z, w): ``R^T (0, 0, -1)``."""
    x, y, z, w = quaternion.unbind(dim=1)
    return torch.stack([2 * (w * y - x * z), -2 * (w * x + y * z), 2 * (x * x + y * y) - 1], dim=1)


def examples_of(loop: WholeLoop) -> list[dict[str, torch.Tensor]]:
    """Draw sensor readings and memories, by input name."""
    generator = torch.Generator().manual_seed(0)
    drawn = []
    for _ in range(COMPARED):
        example = {sensor.name: torch.randn(1, sensor.size, generator=generator) for sensor in loop.sensors}
        if "base_quat" in example:
            example["base_quat"] = example["base_quat"] / example["base_quat"].norm()
        for name, shape in loop.memories.items():
            example[f"{name}_in"] = 0.3 * torch.randn(shape, generator=generator)
        drawn.append(example)
    return drawn


def write(policy: Policy, contract: PolicyContract, folder: Path) -> None:
    """Write ``policy.onnx`` and ``loop.json``, which names its inputs and outputs."""
    loop = WholeLoop(policy, contract)
    outputs = ["joint_targets", *(f"{name}_out" for name in loop.memories)]
    metadata = {CONTRACT_KEY: contract.to_json(indent=None)}
    write_graph(loop, examples_of(loop), outputs, folder / "policy.onnx", metadata)
    document = {
        "period_s": contract.timing.control_dt,
        "inputs": [
            {"name": sensor.name, "shape": [1, sensor.size], "quantity": sensor.quantity, "elements": sensor.elements}
            for sensor in loop.sensors
        ],
        "outputs": [{"name": "joint_targets", "elements": [j for term in contract.actions for j in term.joint_names]}],
        "memories": {name: list(shape) for name, shape in loop.memories.items()},
        "base_quat": "orientation of the base in the world, x y z w",
    }
    (folder / LOOP_FILE).write_text(json.dumps(document, indent=2), encoding="utf-8")


TARGET = ExportTarget("the whole loop", problems, write)
