"""Unitree's C++ deployers (unitree_rl_lab, unitree_rl_mjlab): ``exported/policy.onnx`` and ``params/deploy.yaml``.

One folder serves both generations: what either requires is written in the form that both accept (lists, never scalars;
``params`` in every term, ``clip`` always there). Both clip before they scale, as the contract does.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ...spec.contract import ActionTerm, ObservationTerm, PolicyContract
from ..network import Policy
from .base import (
    VELOCITY_COMMAND,
    ExportTarget,
    frame_scales,
    in_action_order,
    of_terms,
    position_problems,
    quantity_problems,
    ranges_of,
)
from .graph import write_policy

NAMES = {
    "base_angular_velocity": "base_ang_vel",
    "projected_gravity": "projected_gravity",
    "joint_position": "joint_pos_rel",
    "joint_velocity": "joint_vel_rel",
    "last_action": "last_action",
    "velocity_command": "velocity_commands",
}
"""Observation terms that both generations register, by quantity."""

_LEG, _ARM = (
    ("hip_pitch", "hip_roll", "hip_yaw", "knee", "ankle_pitch", "ankle_roll"),
    (
        "shoulder_pitch",
        "shoulder_roll",
        "shoulder_yaw",
        "elbow",
        "wrist_roll",
        "wrist_pitch",
        "wrist_yaw",
    ),
)
_SIDES = ("left", "right")

MOTORS: dict[str, tuple[str, ...]] = {
    "quadruped": tuple(f"{leg}_{part}_joint" for leg in ("FR", "FL", "RR", "RL") for part in ("hip", "thigh", "calf")),
    "G1 with 29 joints": (
        *(f"{side}_{part}_joint" for side in _SIDES for part in _LEG),
        *(f"waist_{part}_joint" for part in ("yaw", "roll", "pitch")),
        *(f"{side}_{part}_joint" for side in _SIDES for part in _ARM),
    ),
}
"""Joints in the order of the SDK's motors, by robot."""


@of_terms
def problems(policy: Policy, contract: PolicyContract) -> Iterator[str]:
    """Yield what the deployers cannot express."""
    yield from quantity_problems(contract, NAMES, "it")
    yield from position_problems(contract)
    if policy.recurrent:
        yield "it carries a hidden state, and only one input and one output are read"
    if not motors_of(contract):
        joints = ", ".join(contract.robot.joint_names[:3])
        yield f"the order of the SDK's motors is not known for a robot with joints {joints}..."
    if not contract.robot.stiffness:
        yield "the gains of its joints are not given"
    for term in contract.observations:
        if term.quantity == "velocity_command" and set(ranges_of(contract, term)) != set(VELOCITY_COMMAND):
            yield f"the ranges of its {term.name} are not given"


def write(policy: Policy, contract: PolicyContract, folder: Path) -> None:
    """Write the policy's folder: what ``policy_dir`` in the robot's ``config.yaml`` names."""
    import yaml

    for name in ("exported", "params"):
        (folder / name).mkdir()
    write_policy(policy, folder / "exported" / "policy.onnx", {})
    (folder / "params" / "deploy.yaml").write_text(yaml.safe_dump(deploy_config(contract), sort_keys=False))


def deploy_config(contract: PolicyContract) -> dict[str, Any]:
    """Return ``deploy.yaml``: joints in the policy's order, gains in the order of the SDK's motors."""
    motors, robot = motors_of(contract), contract.robot
    action = contract.actions[0]
    gains = {
        name: dict(zip(robot.joint_names, values, strict=True))
        for name, values in (("stiffness", robot.stiffness), ("damping", robot.damping))
    }
    config: dict[str, Any] = {
        "joint_ids_map": [motors.index(joint) for joint in action.joint_names],
        "step_dt": contract.timing.control_dt,
        **{name: [float(values.get(joint, 0.0)) for joint in motors] for name, values in gains.items()},
        "default_joint_pos": list(in_action_order(contract, robot.default_joint_pos)),
        "commands": {},
        "actions": {"JointPositionAction": _action(action)},
        "observations": {NAMES[term.quantity]: _observation(term) for term in contract.observations},
    }
    for term in contract.observations:
        if term.quantity == "velocity_command":
            config["commands"] = {"base_velocity": {"ranges": ranges_of(contract, term)}}
    return config


def motors_of(contract: PolicyContract) -> tuple[str, ...]:
    """Return a robot's joints in the order of the SDK's motors; empty where it is not known."""
    joints = set(contract.robot.joint_names)
    return next((order for order in MOTORS.values() if set(order) == joints), ())


def _action(term: ActionTerm) -> dict[str, Any]:
    clips = term.clips or ((term.clip,) * len(term.joint_names) if term.clip else ())
    return {
        "clip": [list(pair) for pair in clips] or None,
        "joint_names": list(term.joint_names),
        "scale": list(term.scale),
        "offset": list(term.offset),
        "joint_ids": None,
    }


def _observation(term: ObservationTerm) -> dict[str, Any]:
    return {
        "params": {},
        "clip": list(term.clip) if term.clip else None,
        "scale": frame_scales(term),
        "history_length": term.history,
    }


TARGET = ExportTarget("Unitree's deployer", problems, write)
