"""mjlab's ONNX file: a batch of one, ``obs`` to ``actions``, metadata as text with commas, here at full precision."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ...spec.contract import PolicyContract
from ..network import Policy
from .base import ExportTarget, in_action_order, of_terms, position_problems
from .graph import plain_text, write_policy

NAMES = {
    "base_linear_velocity": "base_lin_vel",
    "base_angular_velocity": "base_ang_vel",
    "projected_gravity": "projected_gravity",
    "joint_position": "joint_pos",
    "joint_velocity": "joint_vel",
    "last_action": "actions",
    "velocity_command": "command",
    "height_scan": "height_scan",
}


@of_terms
def problems(policy: Policy, contract: PolicyContract) -> Iterator[str]:
    """Yield what the metadata cannot express."""
    yield from position_problems(contract)
    if not contract.robot.stiffness:
        yield "the gains of its joints are not given"
    if any(term.clip or term.clips for term in contract.actions):
        yield "its targets are cut off, which the metadata does not say"
    for term in contract.observations:
        if term.scales and len(set(term.scales)) > 1:
            yield f"its observation {term.name} has a scale for each value, the metadata has one for the term"


def write(policy: Policy, contract: PolicyContract, folder: Path) -> None:
    """Write ``policy.onnx``."""
    terms = contract.observations
    lengths = [float(term.history if term.history > 1 else 0) for term in terms]
    metadata = {
        **joint_metadata(contract),
        "observation_names": plain_text([NAMES.get(term.quantity, term.name) for term in terms]),
        "observation_terms_scale": plain_text([float(term.scales[0] if term.scales else term.scale) for term in terms]),
        "observation_terms_flatten_history_dim": plain_text([1.0 for _ in terms]),
        "observation_terms_history_length": plain_text(lengths),
        "observation_terms_clip": plain_text(
            [";".join(repr(float(bound)) for bound in term.clip or (float("-inf"), float("inf"))) for term in terms]
        ),
    }
    write_policy(policy, folder / "policy.onnx", metadata)


def joint_metadata(contract: PolicyContract) -> dict[str, str]:
    """Return the entries on joints, gains and actions, every list in the order of the actions."""
    robot, action = contract.robot, contract.actions[0]
    return {
        "run_path": str(contract.source.get("run_id") or contract.source.get("checkpoint") or "none"),
        "joint_names": plain_text(action.joint_names),
        "joint_stiffness": plain_text(in_action_order(contract, robot.stiffness)),
        "joint_damping": plain_text(in_action_order(contract, robot.damping)),
        "default_joint_pos": plain_text(in_action_order(contract, robot.default_joint_pos)),
        "command_names": plain_text([term.command or "velocity" for term in contract.observations if term.command]),
        "action_scale": plain_text(action.scale),
    }


TARGET = ExportTarget("mjlab", problems, write)
