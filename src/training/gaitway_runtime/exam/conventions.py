"""Conventions of a policy: everything that stands between a robot's state and the vectors of its network."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..spec.contract import LAST_ACTION, ActionTerm, ObservationTerm, PolicyContract, Timing
from ..tasks.mdp.observations import SCAN_X, SCAN_Y
from ..tasks.robots import RobotSpec
from ..tasks.velocity import SCAN

Floats = NDArray[np.float32]

LIN_VEL, ANG_VEL, GRAVITY, COMMAND = (
    "base_linear_velocity",
    "base_angular_velocity",
    "projected_gravity",
    "velocity_command",
)
JOINT_POS, JOINT_VEL, LAST = "joint_position", "joint_velocity", "last_action"
HEIGHT_SCAN, CLOCK, ORIENTATION = "height_scan", "clock", "orientation"
EULER, ROLL_PITCH = "euler_angles", "roll_pitch"
ATTITUDES = (GRAVITY, ORIENTATION, EULER, ROLL_PITCH)
"""Quantities that say how the base is tilted, of which a policy observes one."""
PER_JOINT = (JOINT_POS, JOINT_VEL, LAST)
VECTORS = (LIN_VEL, ANG_VEL, GRAVITY, COMMAND)

SCAN_OFFSET = 0.5
"""What Isaac Lab takes off a height scan [m]."""

PERIOD = 0.8
"""Period of a clock of which nothing is said [s]."""

NAMES: Mapping[str, str] = {
    LIN_VEL: "base_lin_vel",
    ANG_VEL: "base_ang_vel",
    GRAVITY: "projected_gravity",
    COMMAND: "velocity_commands",
    JOINT_POS: "joint_pos",
    JOINT_VEL: "joint_vel",
    LAST: "actions",
    HEIGHT_SCAN: "height_scan",
    CLOCK: "gait_phase",
    ORIENTATION: "root_quat_w",
    EULER: "base_euler_xyz",
    ROLL_PITCH: "base_roll_pitch",
}
"""Isaac Lab's name of each quantity."""
UNITS: Mapping[str, str] = {
    LIN_VEL: "m/s",
    ANG_VEL: "rad/s",
    COMMAND: "m/s, m/s, rad/s",
    JOINT_POS: "rad",
    JOINT_VEL: "rad/s",
    HEIGHT_SCAN: "m",
    EULER: "rad",
    ROLL_PITCH: "rad",
}


def size_of(quantity: str, joints: int) -> int:
    """Return how many values one frame of a quantity has, for a robot with so many joints."""
    if quantity in PER_JOINT:
        return joints
    return {HEIGHT_SCAN: SCAN, CLOCK: 2, ORIENTATION: 4, ROLL_PITCH: 2}.get(quantity, 3)


@dataclass(frozen=True, kw_only=True)
class ExamTerm:
    """One observation term: ``scale * clip(raw - offset)`` of a quantity."""

    quantity: str
    scales: tuple[float, ...] = (1.0,)
    """One for all values, or one for each."""
    offset: tuple[float, ...] = ()
    """Subtracted before the clip; of joint positions the observed pose where it is empty."""
    clip: tuple[float, float] | None = None
    frame: str = "base"
    """Of a velocity ``base``, ``world`` or ``heading`` (the world turned by the robot's yaw); of an orientation the
    order of its numbers, ``wxyz`` or ``xyzw``; of Euler angles ``ypr`` where yaw comes first; of a height scan ``y``
    where y runs fastest over its grid, not x."""
    frames: int = 1
    """Frames of this term, where history is kept term by term."""
    newest_first: bool = False
    joints: tuple[int, ...] = ()
    """Robot's joint of each value; those of the actions where it is empty."""


@dataclass(frozen=True, kw_only=True)
class Conventions:
    """What a policy takes for granted of a robot. Joints are numbers in the robot's order."""

    terms: tuple[ExamTerm, ...]
    joints: tuple[int, ...]
    """Robot's joint of each action."""
    action_scale: tuple[float, ...]
    """Radians for a unit of each action."""
    action_pose: tuple[float, ...]
    """Targets at an action of zero, in the robot's order [rad]."""
    observed_pose: tuple[float, ...]
    """What joint positions are measured from, in the robot's order [rad]."""
    stacked: int = 1
    """Whole frames in the vector, where history is kept frame by frame."""
    stacked_newest_first: bool = False
    shown_scale: float = 1.0
    """Factor on the last action as the policy sees it; 1 for the raw output."""
    target_bounds: tuple[tuple[float, float], ...] = ()
    """Bounds of each target, in the order of the actions [rad]; empty where none is cut off."""
    stiffness: tuple[float, ...] = ()
    """Gains of the drives in the robot's order [N m/rad]; the robot's own where it is empty."""
    damping: tuple[float, ...] = ()
    """[N m s/rad]."""
    period: float = PERIOD
    """Of the clock [s]."""

    @property
    def input_size(self) -> int:
        """Length of the policy's input vector."""
        count = len(self.joints)
        return self.stacked * sum(
            size_of(term.quantity, len(term.joints) or count) * term.frames for term in self.terms
        )

    def term(self, quantity: str) -> ExamTerm | None:
        """Return the first term of a quantity."""
        return next((term for term in self.terms if term.quantity == quantity), None)

    def with_term(self, quantity: str, **changes: Any) -> Conventions:
        """Return the conventions with changes to the terms of one quantity."""
        terms = tuple(
            dataclasses.replace(term, **changes) if term.quantity == quantity else term for term in self.terms
        )
        return dataclasses.replace(self, terms=terms)

    def scaled(self, quantity: str, *factors: float) -> Conventions:
        """Return the conventions with the scale of one quantity, one for all values or one for each."""
        return self.with_term(quantity, scales=factors)


def contract_from(
    found: Conventions, spec: RobotSpec, here: PolicyContract, source: Mapping[str, object]
) -> PolicyContract:
    """Return conventions as a policy contract.

    Args:
        found: The conventions.
        spec: The robot.
        here: The task's own contract, for what is of the robot and the task alone.
        source: Where the policy comes from.
    """
    names = tuple(spec.joint_names[joint] for joint in found.joints)
    orientation = found.term(ORIENTATION)
    robot = dataclasses.replace(
        here.robot,
        default_joint_pos=found.action_pose,
        stiffness=found.stiffness or here.robot.stiffness,
        damping=found.damping or here.robot.damping,
    )
    conventions = {
        **here.conventions,
        "gravity": "unit vector in the base frame, (0, 0, -1) when upright, times the term's scale",
        "last_action": LAST_ACTION,
        "history": {
            "frames": found.stacked,
            "layout": "frame by frame" if found.stacked > 1 else "term by term",
            "order": "newest first" if found.stacked_newest_first else "oldest first",
        },
        "notes": ["found by gaitway exam: a hypothesis with scores, see exam.json"],
        **({} if orientation is None else {"quaternion": "xyzw" if orientation.frame == "xyzw" else "wxyz"}),
    }
    return dataclasses.replace(
        here,
        observations=tuple(_observations(found, spec)) if found.stacked == 1 else (),
        actions=(
            ActionTerm(
                name="joint_pos",
                kind="joint_position",
                start=0,
                stop=len(names),
                joint_names=names,
                scale=found.action_scale,
                offset=tuple(found.action_pose[joint] for joint in found.joints),
                clips=found.target_bounds,
                units="rad",
            ),
        ),
        timing=Timing(
            physics_dt=here.timing.physics_dt, decimation=here.timing.decimation, control_dt=here.timing.control_dt
        ),
        robot=robot,
        randomization={},
        conventions=conventions,
        source=source,
        unknown=() if found.stacked == 1 else ("observations",),
    )


def _observations(found: Conventions, spec: RobotSpec) -> list[ObservationTerm]:
    terms, start = [], 0
    for term in found.terms:
        joints = (term.joints or found.joints) if term.quantity in PER_JOINT else ()
        size = size_of(term.quantity, len(joints))
        scales = term.scales if len(term.scales) == size else (term.scales[0],) * size
        if term.quantity == LAST:
            scales = tuple(found.shown_scale * value for value in scales)
        offset = term.offset or (
            tuple(found.observed_pose[joint] for joint in joints) if term.quantity == JOINT_POS else ()
        )
        alike = len(set(scales)) == 1
        terms.append(
            ObservationTerm(
                name=NAMES.get(term.quantity, term.quantity),
                start=start,
                stop=start + size * term.frames,
                units=UNITS.get(term.quantity, ""),
                frame=term.frame if term.quantity in VECTORS else "",
                quantity=term.quantity,
                scale=scales[0] if alike else 1.0,
                scales=() if alike else scales * term.frames,
                offset=offset * term.frames,
                clip=term.clip,
                joint_names=tuple(spec.joint_names[joint] for joint in joints),
                history=term.frames,
                history_order="newest_first" if term.newest_first else "oldest_first",
                command="base_velocity" if term.quantity == COMMAND else "",
                parameters=_parameters(term, found),
            )
        )
        start += size * term.frames
    return terms


def _parameters(term: ExamTerm, found: Conventions) -> dict[str, object]:
    """Return the numbers that a quantity needs beside the robot's state; what is taken off a scan is its offset too."""
    if term.quantity == CLOCK:
        return {"period_s": found.period}
    if term.quantity == EULER:
        return {"order": "yaw, pitch, roll" if term.frame == "ypr" else "roll, pitch, yaw"}
    if term.quantity == HEIGHT_SCAN:
        order = "y fastest" if term.frame == "y" else "x fastest"
        return {"x_m": SCAN_X.tolist(), "y_m": SCAN_Y.tolist(), "order": order, "offset": SCAN_OFFSET}
    return {}
