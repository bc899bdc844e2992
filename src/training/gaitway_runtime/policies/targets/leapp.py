"""LEAPP bundle (config version 1.3) of the whole loop as one node, for Isaac Lab's ``leapp deploy`` and Isaac ROS.

The feedback stands twice: ``feedback_flow`` is LEAPP's own key, ``feedback_connections`` the one that Isaac ROS reads.
Isaac ROS 4 has other names for a velocity command's values, and a runner of another name: it gets a file of its own.
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ...spec.contract import CONTRACT_KEY, PolicyContract
from ..formats.onnx import OPSET
from ..network import Policy
from . import whole_loop
from .base import VELOCITY_COMMAND, ExportTarget, command_names, in_action_order
from .graph import write_graph
from .safetensors import write_safetensors
from .whole_loop import Sensor, WholeLoop, examples_of

NODE = "policy"

COMMAND_ROS_4 = dict(zip(VELOCITY_COMMAND, ("lin_x", "lin_y", "ang_z"), strict=True))
"""Name of each value of a velocity command in Isaac ROS 4, which picks them out of a twist of six; later it has Isaac
Lab's names."""

_KINDS = {
    "joint_position": ("state/joint/position", "state:robot:joint_pos"),
    "joint_velocity": ("state/joint/velocity", "state:robot:joint_vel"),
    "base_linear_velocity": ("state/body/linear_velocity", "state:robot:root_lin_vel_b"),
    "base_angular_velocity": ("state/body/angular_velocity", "state:robot:root_ang_vel_b"),
    "projected_gravity": ("state/body/rotation", "state:robot:root_quat_w"),
}
"""Kind and Isaac Lab's source of each sensor; gravity is computed from the orientation inside the graph."""

_TARGETS = {
    "joint_position": ("target/joint/position", "write:robot:set_joint_position_target_index"),
    "joint_effort": ("target/joint/effort", "write:robot:set_joint_effort_target_index"),
}


def problems(policy: Policy, contract: PolicyContract) -> Iterator[str]:
    """Yield what a bundle cannot express."""
    yield from whole_loop.problems(policy, contract)
    if len(contract.actions) > 1:
        yield "it has several action terms, the node has one"
    if contract.actions and not contract.robot.stiffness:
        yield "the gains of its joints are not given"
    for term in contract.observations:
        if term.quantity == "height_scan":
            yield f"no topic gives its observation {term.name} (height_scan)"
        if term.quantity == "velocity_command" and set(command_names(term, contract)) != set(VELOCITY_COMMAND):
            yield f"its {term.name} is no velocity command of {', '.join(VELOCITY_COMMAND)}"


class WithGains(nn.Module):
    """The loop, with the gains of the driven joints as outputs after the targets."""

    def __init__(self, loop: WholeLoop, contract: PolicyContract) -> None:
        super().__init__()
        self.loop = loop
        robot = contract.robot
        self.kp = nn.Buffer(torch.tensor([in_action_order(contract, robot.stiffness)], dtype=torch.float32))
        self.kd = nn.Buffer(torch.tensor([in_action_order(contract, robot.damping)], dtype=torch.float32))

    def forward(self, *inputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return targets, stiffness, damping, then the memories."""
        targets, *memories = self.loop(*inputs)
        return targets, self.kp + 0.0, self.kd + 0.0, *memories


def write(policy: Policy, contract: PolicyContract, folder: Path) -> None:
    """Write ``policy.yaml``, the same for Isaac ROS 4, ``policy.onnx`` and the memories' first values."""
    import yaml

    loop = WholeLoop(policy, contract)
    outputs = ["joint_targets", "kp", "kd", *(f"{name}_out" for name in loop.memories)]
    model = folder / f"{NODE}.onnx"
    metadata = {CONTRACT_KEY: contract.to_json(indent=None)}
    write_graph(WithGains(loop, contract), examples_of(loop), outputs, model, metadata)
    first = folder / f"{NODE}_initial_values.safetensors"
    write_safetensors({f"{NODE}/{name}_in": torch.zeros(shape) for name, shape in loop.memories.items()}, first, {})
    document = bundle(loop, contract, model, first.name)
    for name, content in ((f"{NODE}.yaml", document), (f"{NODE}_isaac_ros_4.yaml", for_isaac_ros_4(document))):
        (folder / name).write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")


def for_isaac_ros_4(document: dict[str, Any]) -> dict[str, Any]:
    """Return a bundle's document as Isaac ROS 4 reads it."""
    made = copy.deepcopy(document)
    node = made["models"][NODE]
    node["parameters"]["backend"] = "triton"
    for term in node["inputs"]:
        if term.get("kind") == "command/body/velocity":
            term["element_names"] = [[COMMAND_ROS_4[name] for name in names] for names in term["element_names"]]
    return made


def bundle(loop: WholeLoop, contract: PolicyContract, model: Path, initial_values: str) -> dict[str, Any]:
    """Return the document of a bundle."""
    content = model.read_bytes()
    memories = {name: list(shape) for name, shape in loop.memories.items()}
    flow = {f"{NODE}/{name}_out": [f"{NODE}/{name}_in"] for name in memories}
    return {
        "models": {
            NODE: {
                "inputs": [
                    *(_sensor(sensor) for sensor in loop.sensors),
                    *(_tensor(f"{name}_in", shape) for name, shape in memories.items()),
                ],
                "outputs": [*_targets(contract), *(_tensor(f"{name}_out", shape) for name, shape in memories.items())],
                "parameters": {
                    "model_path": model.name,
                    "md5sum": hashlib.md5(content, usedforsecurity=False).hexdigest(),
                    "sha256sum": hashlib.sha256(content).hexdigest(),
                    "backend": "onnx",
                    "opset_version": OPSET,
                },
            }
        },
        "pipeline": {
            "inputs": {NODE: [sensor.name for sensor in loop.sensors]},
            "outputs": {NODE: ["joint_targets", "kp", "kd"]},
            "data_flow": {},
            "feedback_flow": flow,
            "feedback_connections": flow,
            "configs": {"frequency": 1.0 / contract.timing.control_dt},
            "initial_values": initial_values,
        },
        "system information": {"leapp config version": "1.3"},
    }


def _tensor(name: str, shape: list[int]) -> dict[str, Any]:
    return {"name": name, "dtype": "float32", "shape": shape, "type": "tensor"}


def _sensor(sensor: Sensor) -> dict[str, Any]:
    found = _tensor(sensor.name, [1, sensor.size])
    if sensor.quantity == "velocity_command":
        kind, connection = "command/body/velocity", f"command:{sensor.name}"
    else:
        kind, connection = _KINDS[sensor.quantity]
    return {**found, "kind": kind, "element_names": [list(sensor.elements)], "isaaclab_connection": connection}


def _targets(contract: PolicyContract) -> list[dict[str, Any]]:
    action = contract.actions[0]
    kind, connection = _TARGETS[action.kind]
    joints, shape = [list(action.joint_names)], [1, len(action.joint_names)]
    calls = {"kp": "write_joint_stiffness_to_sim_index", "kd": "write_joint_damping_to_sim_index"}
    gains = {name: f"write:robot:{call}" for name, call in calls.items()}
    return [
        {**_tensor("joint_targets", shape), "kind": kind, "element_names": joints, "isaaclab_connection": connection},
        *(
            {**_tensor(name, shape), "kind": name, "element_names": joints, "isaaclab_connection": call}
            for name, call in gains.items()
        ),
    ]


TARGET = ExportTarget("LEAPP", problems, write)
