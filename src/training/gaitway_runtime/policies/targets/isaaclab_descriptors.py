"""Isaac Lab's IO descriptors beside the policy: ``IO_descriptors.yaml``, ``policy.onnx``, ``policy.pt``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ...spec.contract import ActionTerm, ObservationTerm, PolicyContract
from ...spec.export_formats import BOTH, EXPORT_FORMATS
from ..network import Policy
from .base import ExportTarget, frame_size, of_terms

FUNCTIONS = {
    "base_linear_velocity": ("base_lin_vel", "RootState"),
    "base_angular_velocity": ("base_ang_vel", "RootState"),
    "projected_gravity": ("projected_gravity", "RootState"),
    "base_height": ("base_pos_z", "RootState"),
    "joint_position": ("joint_pos_rel", "JointState"),
    "joint_velocity": ("joint_vel_rel", "JointState"),
    "joint_position_normalized": ("joint_pos_limit_normalized", "JointState"),
    "last_action": ("last_action", "Action"),
    "velocity_command": ("generated_commands", "Command"),
}
"""Isaac Lab's function and type of each quantity that has a descriptor."""

_OFFSETS = {"joint_position": "joint_pos_offsets", "joint_velocity": "joint_vel_offsets"}
"""Key of what is subtracted, by quantity."""

_CLASSES = {
    "joint_position": "JointPositionAction",
    "joint_velocity": "JointVelocityAction",
    "joint_effort": "JointEffortAction",
}


@of_terms
def problems(policy: Policy, contract: PolicyContract) -> Iterator[str]:
    """Yield what the descriptors cannot express."""
    for term in contract.observations:
        if term.quantity not in FUNCTIONS:
            yield f"Isaac Lab has no descriptor of observation '{term.name}' ({term.quantity})"
        elif any(term.offset) and term.quantity not in _OFFSETS:
            yield f"its observation {term.name} has an offset"
    for action in contract.actions:
        if action.kind not in _CLASSES:
            yield f"Isaac Lab has no descriptor of action '{action.name}' ({action.kind})"


def write(policy: Policy, contract: PolicyContract, folder: Path) -> None:
    """Write the descriptors and both exports."""
    import yaml

    (folder / "IO_descriptors.yaml").write_text(yaml.safe_dump(descriptors(contract)))
    for name in BOTH:
        format = EXPORT_FORMATS.get(name)
        format.write(policy, contract, folder / format.file)


def descriptors(contract: PolicyContract) -> dict[str, Any]:
    """Return the document as Isaac Lab 2.3 and 3.0 write it."""
    robot, timing = contract.robot, contract.timing
    return {
        "observations": {"policy": [_observation(term) for term in contract.observations]},
        "actions": [_action(term) for term in contract.actions],
        "articulations": {
            "robot": {
                "joint_names": list(robot.joint_names),
                "default_joint_pos": list(robot.default_joint_pos),
                "default_joint_vel": [0.0] * len(robot.joint_names),
                "default_joint_pos_limits": [list(pair) for pair in robot.joint_pos_limits],
                "default_joint_stiffness": list(robot.stiffness),
                "default_joint_damping": list(robot.damping),
                "default_joint_friction": [0.0] * len(robot.joint_names),
                "default_joint_armature": list(robot.armature),
            }
        },
        "scene": {"physics_dt": timing.physics_dt, "dt": timing.control_dt, "decimation": timing.decimation},
    }


def _observation(term: ObservationTerm) -> dict[str, Any]:
    function, kind = FUNCTIONS[term.quantity]
    size = frame_size(term)
    if term.quantity == "joint_position" and not any(term.offset):
        function = "joint_pos"
    found: dict[str, Any] = {
        "name": function,
        "mdp_type": "Observation",
        "full_path": f"isaaclab.envs.mdp.observations.{function}",
        "shape": [size],
        "dtype": "torch.float32",
        "observation_type": kind,
        "overloads": {
            "clip": list(term.clip) if term.clip else None,
            "scale": list(term.scales[:size]) if term.scales else term.scale,
            "history_length": term.history if term.history > 1 else 0,
            "flatten_history_dim": True,
        },
        "extras": {"description": term.quantity.replace("_", " "), "units": term.units or None, "modifiers": None},
    }
    if term.joint_names:
        found["joint_names"] = list(term.joint_names)
    if any(term.offset):
        found[_OFFSETS[term.quantity]] = list(term.offset[:size])
    return found


def _action(term: ActionTerm) -> dict[str, Any]:
    name = _CLASSES[term.kind]
    clips = term.clips or ((term.clip,) * len(term.joint_names) if term.clip else ())
    return {
        "name": name,
        "extras": {"description": term.kind.replace("_", " "), "units": term.units or None},
        "mdp_type": "Action",
        "full_path": f"isaaclab.envs.mdp.actions.joint_actions.{name}",
        "shape": [term.stop - term.start],
        "dtype": "torch.float32",
        "action_type": "JointAction",
        "joint_names": list(term.joint_names),
        "scale": list(term.scale),
        "offset": list(term.offset),
        "clip": [list(pair) for pair in clips] or None,
    }


TARGET = ExportTarget("a reader of Isaac Lab's IO descriptors", problems, write)
