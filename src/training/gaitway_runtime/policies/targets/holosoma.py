"""holosoma_inference's locomotion policy: ``actor_obs`` in its own layout to 29 actions, every metadata value JSON.

Observation layout, joint order, default pose and action scale are those of its G1 preset, not of the file; the file
turns its observations into the policy's and the policy's targets into its actions. Its clock inputs are not used.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import nn

from ...spec.contract import ObservationTerm, PolicyContract
from ..network import Policy
from .base import (
    ExportTarget,
    default_pose,
    frame_scales,
    of_terms,
    position_problems,
    quantity_problems,
    ranges_of,
)
from .graph import write_graph
from .unitree import MOTORS

JOINTS = MOTORS["G1 with 29 joints"]

_LEG, _ARM = (-0.312, 0.0, 0.0, 0.669, -0.363, 0.0), (0.0, 0.6, 0.0, 0.0, 0.0)
POSE = (*_LEG, *_LEG, 0.0, 0.0, 0.0, 0.2, 0.2, *_ARM, 0.2, -0.2, *_ARM)
"""Default pose of its preset g1_29dof, in its joint order [rad]."""

ACTION_SCALE, PERIOD = 0.25, 0.02
"""Of its preset: target = pose + 0.25 * action; control period [s]."""

LAYOUT = {
    "last_action": (0, 29, 1.0),
    "base_angular_velocity": (29, 32, 0.25),
    "yaw_command": (32, 33, 1.0),
    "linear_command": (33, 35, 1.0),
    "joint_position": (37, 66, 1.0),
    "joint_velocity": (66, 95, 0.05),
    "projected_gravity": (95, 98, 1.0),
}
"""Place and scale of each quantity in ``actor_obs``, whose terms stand in alphabetical order."""

WIDTH = 100

_QUANTITIES = (
    "last_action",
    "base_angular_velocity",
    "joint_position",
    "joint_velocity",
    "projected_gravity",
    "velocity_command",
)


@of_terms
def problems(policy: Policy, contract: PolicyContract) -> Iterator[str]:
    """Yield what its G1 preset cannot express."""
    if set(contract.robot.joint_names) != set(JOINTS):
        yield f"its robot has {len(contract.robot.joint_names)} joints, the preset is of the G1 with 29"
        return
    yield from quantity_problems(contract, {name: name for name in _QUANTITIES}, "its preset")
    yield from position_problems(contract)
    pose = default_pose(contract)
    other = next((j for j, value in zip(JOINTS, POSE, strict=True) if abs(pose[j] - value) > 1e-6), None)
    if other is not None:
        yield f"its default pose is not the preset's: {other} at {pose[other]:g}"
    if policy.recurrent or any(term.history > 1 for term in contract.observations):
        yield "it has a state or a history, and the preset shows one frame"
    if any(term.clip or term.clips for term in contract.actions):
        yield "its targets are cut off, and no clip is read"
    if abs(contract.timing.control_dt - PERIOD) > 1e-9:
        yield f"its control period is {contract.timing.control_dt:g} s, the preset's is {PERIOD:g} s"
    if not contract.robot.stiffness:
        yield "the gains of its joints are not given"


class Bridge(nn.Module):
    """``actor_obs (1, 100) -> actions (1, 29)`` in the preset's layout and order."""

    def __init__(self, policy: Policy, contract: PolicyContract) -> None:
        super().__init__()
        self.policy = policy.module
        entries = [entry for term in contract.observations for entry in _entries(term, contract)]
        columns, gain, bias, low, high, scale = zip(*entries, strict=True)
        self.columns = nn.Buffer(torch.tensor(columns))
        self.gain, self.bias = nn.Buffer(_row(gain)), nn.Buffer(_row(bias))
        self.low, self.high, self.scale = nn.Buffer(_row(low)), nn.Buffer(_row(high)), nn.Buffer(_row(scale))
        action = contract.actions[0]
        place = [action.joint_names.index(joint) for joint in JOINTS]
        self.place = nn.Buffer(torch.tensor(place))
        self.out_gain = nn.Buffer(_row([action.scale[number] / ACTION_SCALE for number in place]))

    def forward(self, actor_obs: torch.Tensor) -> torch.Tensor:
        """Return the preset's actions."""
        raw = actor_obs[:, self.columns] * self.gain + self.bias
        observation = torch.minimum(torch.maximum(raw, self.low), self.high) * self.scale
        found: torch.Tensor = self.policy(observation)
        return found[:, self.place] * self.out_gain


def _row(values: tuple[float, ...] | list[float]) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float32)


def _entries(
    term: ObservationTerm, contract: PolicyContract
) -> Iterator[tuple[int, float, float, float, float, float]]:
    """Yield column, gain, bias, bounds and scale of each value of a term."""
    low, high = term.clip or (-torch.inf, torch.inf)
    action = contract.actions[0]
    for number, scale in enumerate(frame_scales(term)):
        if term.quantity == "velocity_command":
            start, _, factor = LAYOUT["yaw_command" if number == 2 else "linear_command"]
            column, gain = start + (0 if number == 2 else number), 1.0 / factor
        elif term.quantity in ("joint_position", "joint_velocity", "last_action"):
            start, _, factor = LAYOUT[term.quantity]
            joint = action.joint_names[number]
            column, gain = start + JOINTS.index(joint), 1.0 / factor
            if term.quantity == "last_action":
                gain = ACTION_SCALE / action.scale[number]
        else:
            start, _, factor = LAYOUT[term.quantity]
            column, gain = start + number, 1.0 / factor
        yield column, gain, 0.0, low, high, scale


def write(policy: Policy, contract: PolicyContract, folder: Path) -> None:
    """Write ``policy.onnx``."""
    robot = contract.robot
    gains = {
        name: dict(zip(robot.joint_names, values, strict=True))
        for name, values in (("kp", robot.stiffness), ("kd", robot.damping))
    }
    command = next((term for term in contract.observations if term.quantity == "velocity_command"), None)
    found = ranges_of(contract, command) if command else {}
    ranges = {"ang_vel_yaw" if name == "ang_vel_z" else name: pair for name, pair in found.items()}
    metadata = {
        **{name: json.dumps([float(values[joint]) for joint in JOINTS]) for name, values in gains.items()},
        "dof_names": json.dumps(list(JOINTS)),
        "command_ranges": json.dumps(ranges or None),
        "policy_contract": contract.to_json(indent=None),
    }
    generator = torch.Generator().manual_seed(0)
    examples = [{"actor_obs": torch.randn(1, WIDTH, generator=generator)} for _ in range(64)]
    write_graph(Bridge(policy, contract), examples, ["actions"], folder / "policy.onnx", metadata)


TARGET = ExportTarget("holosoma_inference", problems, write)
