"""Description of a policy's conventions as it was found, and the words that its readers share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..spec.contract import QUANTITIES, PolicyContract
from ..spec.errors import UsageError
from ..tasks.robots import RobotSpec
from . import conventions as words
from .conventions import Conventions

NAMES_ELSEWHERE: Mapping[str, str] = {
    **QUANTITIES,
    "command": words.COMMAND,
    "velocity": words.COMMAND,
    "twist": words.COMMAND,
    "gait_phase": words.CLOCK,
    "root_quat_w": words.ORIENTATION,
    "base_euler_xyz": words.EULER,
    "eulerZYX_rpy": words.EULER,
    "roll_pitch": words.ROLL_PITCH,
    "base_roll_pitch": words.ROLL_PITCH,
}
"""Quantity by the name that a project has for it."""


@dataclass(frozen=True, kw_only=True)
class Description:
    """A description as it was found, not yet of any robot."""

    kind: str
    """``contract``, ``metadata``, ``descriptors``, ``deploy``, ``leapp`` or ``whole-loop``."""
    source: str
    content: Any
    joints: tuple[str, ...]
    """Joints of the actions, in order."""
    task: str = ""
    control_dt: float = 0.0
    """Time between two actions that it states [s]; 0 where it states none."""
    gains: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    """Stiffness and damping by joint, of a bundle that states them beside its outputs."""


@dataclass(frozen=True, kw_only=True)
class Known:
    """Conventions that were read, and where."""

    source: str
    conventions: Conventions
    contract: PolicyContract | None = None
    """Our own contract, where it is one."""


def check_quantity(quantity: str, name: str, source: str) -> None:
    """Check that the exam can compute a quantity.

    Args:
        quantity: The quantity; empty where nobody said.
        name: The description's name of the term.
        source: The description.

    Raises:
        UsageError: It cannot.
    """
    known = (*words.PER_JOINT, *words.VECTORS, *words.ATTITUDES[1:], words.HEIGHT_SCAN, words.CLOCK)
    if quantity not in known:
        raise UsageError(
            f"the policy observes {name}{f' ({quantity})' if quantity else ''}, which the exam cannot compute",
            source=source,
            allowed=", ".join(known),
        )


def places_of(joints: tuple[str, ...] | list[str], spec: RobotSpec, source: str) -> tuple[int, ...]:
    """Return joints as numbers in the robot's order.

    Raises:
        UsageError: The robot has no such joint.
    """
    for joint in joints:
        if joint not in spec.joint_names:
            raise UsageError(
                f"the policy observes joint {joint}, which {spec.name} does not have",
                source=source,
                allowed=", ".join(spec.joint_names),
            )
    return tuple(spec.joint_names.index(joint) for joint in joints)


def bounded(bounds: tuple[tuple[float, float], ...]) -> tuple[tuple[float, float], ...]:
    """Return the bounds of each target, or none where all are infinite."""
    return bounds if any(pair != (float("-inf"), float("inf")) for pair in bounds) else ()
