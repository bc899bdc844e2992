"""legged_control2: ``obs`` to ``actions`` with a batch of one; scales and clips of observations are inside the file.

It reads no scale and no clip, looks joints up by name, and takes the default pose as the actions' zero.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ...spec.contract import PolicyContract
from ..network import Policy
from .base import ExportTarget, of_terms, position_problems, quantity_problems
from .graph import RawInputs, plain_text, write_policy
from .mjlab import joint_metadata

NAMES = {
    "base_linear_velocity": "base_lin_vel",
    "base_angular_velocity": "base_ang_vel",
    "projected_gravity": "projected_gravity",
    "joint_position": "joint_pos",
    "joint_velocity": "joint_vel",
    "last_action": "actions",
    "velocity_command": "command",
}
"""Its observation terms, by quantity."""


@of_terms
def problems(policy: Policy, contract: PolicyContract) -> Iterator[str]:
    """Yield what it cannot express."""
    yield from quantity_problems(contract, NAMES, "it")
    yield from position_problems(contract)
    if policy.recurrent:
        yield "it carries a hidden state"
    if any(term.clip or term.clips for term in contract.actions):
        yield "its targets are cut off, and no clip is read"
    if not contract.robot.stiffness:
        yield "the gains of its joints are not given"


def write(policy: Policy, contract: PolicyContract, folder: Path) -> None:
    """Write ``policy.onnx``."""
    metadata = {
        **joint_metadata(contract),
        "command_names": "velocity" if any(term.command for term in contract.observations) else "",
        "observation_names": plain_text([NAMES[term.quantity] for term in contract.observations]),
        "observation_history_lengths": plain_text([term.history for term in contract.observations]),
    }
    write_policy(policy, folder / "policy.onnx", metadata, module=RawInputs(policy, contract))


TARGET = ExportTarget("legged_control2", problems, write)
