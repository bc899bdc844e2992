"""legged_rl_deploy: ``config.yaml`` with everything that stands around the network, and ``policy.onnx``.

Not to be confused with legged_control2. It reads nothing of the ONNX file but its shapes; joints are motors by number,
in the policy's order, gains too. ``model_path`` is relative to its ``$WORKSPACE``. It stacks whole frames: of those the
ONNX file takes what each term's own history has.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ...spec.contract import ActionTerm, ObservationTerm, PolicyContract
from ..network import Policy
from ..parity import observations_from_statistics
from .base import (
    VELOCITY_COMMAND,
    ExportTarget,
    command_names,
    frame_scales,
    frame_size,
    in_action_order,
    of_terms,
    position_problems,
    quantity_problems,
    ranges_of,
)
from .graph import COMPARED, write_graph, write_policy
from .unitree import motors_of

NAMES = {
    "base_angular_velocity": "base_ang_vel_B",
    "projected_gravity": "projected_gravity",
    "velocity_command": "velocity_commands",
    "joint_position": "joint_pos",
    "joint_velocity": "joint_vel",
    "last_action": "last_action",
}
"""Its observation terms, by quantity."""


@of_terms
def problems(policy: Policy, contract: PolicyContract) -> Iterator[str]:
    """Yield what it cannot express."""
    yield from quantity_problems(contract, NAMES, "it")
    yield from position_problems(contract)
    if policy.recurrent:
        yield "it carries a hidden state, which would be zero in every step"
    if not motors_of(contract):
        yield f"the order of the motors is not known for a robot with joints {contract.robot.joint_names[0]}..."
    if not contract.robot.stiffness:
        yield "the gains of its joints are not given"
    for term in contract.observations:
        if term.quantity == "velocity_command" and (
            command_names(term, contract) != VELOCITY_COMMAND or not ranges_of(contract, term)
        ):
            yield f"the ranges of its {term.name} are not given as {', '.join(VELOCITY_COMMAND)}"


def write(policy: Policy, contract: PolicyContract, folder: Path) -> None:
    """Write both files."""
    import yaml

    if _frames(contract) == 1:
        write_policy(policy, folder / "policy.onnx", {})
    else:
        module = Stacked(policy, contract)
        rows = torch.from_numpy(observations_from_statistics(policy, COMPARED))
        examples = [{"obs": module.stacked(row[None])} for row in rows]
        write_graph(module, examples, ["actions"], folder / "policy.onnx", {})
    document = {"policy": _config(contract)}
    (folder / "config.yaml").write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")


class Stacked(nn.Module):
    """A policy that takes whole frames, oldest first, and of each term as many as its history has."""

    def __init__(self, policy: Policy, contract: PolicyContract) -> None:
        super().__init__()
        self.module = policy.module
        width, frames = sum(map(frame_size, contract.observations)), _frames(contract)
        self.inputs = frames * width
        columns: list[int] = []
        start = 0
        for term in contract.observations:
            for frame in range(frames - term.history, frames):
                columns += range(frame * width + start, frame * width + start + frame_size(term))
            start += frame_size(term)
        self.columns = nn.Buffer(torch.tensor(columns))

    def forward(self, obs: torch.Tensor) -> torch.Tensor:
        """Return the actions, (1, actions), for stacked frames, (1, frames * values of a frame)."""
        actions: torch.Tensor = self.module(obs[:, self.columns])
        return actions

    def stacked(self, observations: torch.Tensor) -> torch.Tensor:
        """Return stacked frames that hold an observation of the policy's, (1, observations)."""
        frames = torch.zeros(1, self.inputs)
        frames[:, self.columns] = observations
        return frames


def _frames(contract: PolicyContract) -> int:
    """Return the frames that are stacked: those of the longest history."""
    return max(term.history for term in contract.observations)


def _config(contract: PolicyContract) -> dict[str, Any]:
    motors, robot = motors_of(contract), contract.robot
    (action,) = contract.actions
    width, frames = sum(map(frame_size, contract.observations)), _frames(contract)
    command = next((term for term in contract.observations if term.quantity == "velocity_command"), None)
    return {
        "backend": "ort",
        "model_path": "policy.onnx",
        "input_dim": frames * width,
        "output_dim": contract.action_size,
        "policy_dt": contract.timing.control_dt,
        "joint_ids_map": [motors.index(joint) for joint in action.joint_names],
        "stiffness": list(in_action_order(contract, robot.stiffness)),
        "damping": list(in_action_order(contract, robot.damping)),
        "commands": {} if command is None else {"base_velocity": _command(command, contract)},
        "actions": {"JointPositionAction": _action(action)},
        "observations": {
            "stack": {"length": frames, "order": "oldest_first"},
            "terms": {NAMES[term.quantity]: _observation(term) for term in contract.observations},
        },
    }


def _command(term: ObservationTerm, contract: PolicyContract) -> dict[str, Any]:
    ranges = ranges_of(contract, term)
    low, high = ([ranges[name][end] for name in VELOCITY_COMMAND] for end in (0, 1))
    return {"process_order": ["clip"], "min": low, "max": high}


def _action(term: ActionTerm) -> dict[str, Any]:
    found: dict[str, Any] = {
        "process_order": ["scale", "offset"],
        "scale": list(term.scale),
        "offset": list(term.offset),
    }
    return found if not (term.clip or term.clips) else _clipped(found, [list(pair) for pair in term.bounds])


def _observation(term: ObservationTerm) -> dict[str, Any]:
    found: dict[str, Any] = {"process_order": []}
    if any(term.offset):
        found["process_order"].append("offset")
        found["offset"] = [-value for value in term.offset[: frame_size(term)]]
    if term.clip:
        found = _clipped(found, [list(term.clip)])
    found["process_order"].append("scale")
    return {**found, "scale": frame_scales(term)}


def _clipped(found: dict[str, Any], bounds: list[list[float]]) -> dict[str, Any]:
    low, high = zip(*bounds, strict=True)
    return {**found, "process_order": [*found["process_order"], "clip"], "min": list(low), "max": list(high)}


TARGET = ExportTarget("legged_rl_deploy", problems, write)
