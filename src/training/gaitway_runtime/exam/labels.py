"""Names of the conventions that an exam looks for, and what conventions say of each, in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from ..evaluation.remedies import joint_orders
from ..tasks.robots import RobotSpec
from . import conventions as words
from .conventions import Conventions, ExamTerm

ORDER, JOINTS, SCALE, POSE, GRAVITY, LIN_FRAME, ANG_FRAME, UNITS, SHOWN, HISTORY, GAINS, CLOCK, SCAN = (
    "order of the terms",
    "order of the joints",
    "action scale",
    "default pose",
    "gravity",
    "frame of the linear velocity",
    "frame of the angular velocity",
    "observation scales",
    "last action",
    "history",
    "gains",
    "clock",
    "height scan",
)
"""Names of the conventions that are looked for."""

FRAMES: Mapping[str, str] = {LIN_FRAME: words.LIN_VEL, ANG_FRAME: words.ANG_VEL}
"""Velocity that each of the conventions about a frame is about."""

SEEN = frozenset([ORDER, JOINTS, GRAVITY, LIN_FRAME, ANG_FRAME, SHOWN, HISTORY])
"""Conventions of what the policy sees: of a wrong one a robot stands kicks worse, where other gains may help it."""

SETTLES: Mapping[str, str] = {
    ORDER: "the list of observations in the training's configuration",
    JOINTS: "the joint names of the training's robot, in order",
    SCALE: "the action term's scale in the training's configuration",
    POSE: "the robot's initial joint positions in the training's configuration",
    GRAVITY: "one recorded observation of the robot standing upright",
    LIN_FRAME: "one recorded observation of the robot moving while it faces sideways",
    ANG_FRAME: "one recorded observation of the robot turning while it leans",
    UNITS: "the observations' scales in the training's configuration, or some recorded observations",
    SHOWN: "two consecutive recorded observations with the action between them",
    HISTORY: "recorded observations of the first steps of an episode",
    GAINS: "stiffness and damping of the training's actuators",
    CLOCK: "the period of the gait in the training's configuration",
    SCAN: "the scanner's pattern in the training's configuration, or one recorded observation before a step",
}
"""What would settle each convention."""


def label_of(convention: str, found: Conventions, spec: RobotSpec) -> str:
    """Return what conventions say of one of them, in words."""
    if convention == ORDER:
        return ", ".join(words.NAMES[term.quantity] for term in found.terms)
    if convention == JOINTS:
        return joint_label(found.joints, spec)
    if convention == SCALE:
        return ", ".join(f"{value:g}" for value in dict.fromkeys(found.action_scale)) + " rad"
    if convention == POSE:
        return _pose_label(found, spec)
    if convention == GRAVITY:
        return _attitude_label(found)
    if convention in FRAMES:
        velocity = found.term(FRAMES[convention])
        return "not observed" if velocity is None else f"{velocity.frame}{_axes(velocity)}"
    if convention == UNITS:
        shown = [term for term in found.terms if {abs(scale) for scale in term.scales} != {1.0}]
        return ", ".join(f"{words.NAMES[term.quantity]} {numbers(term.scales)}" for term in shown) or "all 1"
    if convention == SHOWN:
        return "raw output" if found.shown_scale == 1 else f"output times {found.shown_scale:g}"
    if convention == HISTORY:
        return _history_label(found)
    if convention == GAINS:
        pairs = zip(found.stiffness or spec.stiffness, found.damping or spec.damping, strict=True)
        return ", ".join(f"{kp:g}/{kd:g}" for kp, kd in dict.fromkeys(pairs))
    if convention == SCAN:
        scan = found.term(words.HEIGHT_SCAN)
        return "none" if scan is None else f"{'y' if scan.frame == 'y' else 'x'} fastest"
    return f"{found.period:g} s" if found.term(words.CLOCK) else "none"


def _attitude_label(found: Conventions) -> str:
    """Return how the policy sees the base's tilt."""
    term = next((term for term in found.terms if term.quantity in words.ATTITUDES), None)
    if term is None:
        return "not observed"
    if term.quantity == words.ORIENTATION:
        order = "xyzw" if term.frame == "xyzw" else "wxyz"
        return f"as an orientation ({', '.join(order)}){' of the world in the base' if min(term.scales) < 0 else ''}"
    if term.quantity == words.EULER:
        return f"as {'yaw, pitch, roll' if term.frame == 'ypr' else 'roll, pitch, yaw'}{_axes(term)}"
    if term.quantity == words.ROLL_PITCH:
        return f"as roll, pitch{' (z down)' if min(term.scales) < 0 else ''}"
    return f"(0, 0, {'-' if term.scales[-1] > 0 else ''}1) upright{_axes(term)}"


def joint_label(joints: Sequence[int], spec: RobotSpec) -> str:
    """Return an order of joints by the name that people have for it, or its joints."""
    for name, order in known_orders(spec):
        if order == tuple(joints):
            return name
    return ", ".join(spec.joint_names[joint] for joint in joints)


def known_orders(spec: RobotSpec) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Yield the orders in which projects list a robot's joints, as numbers in the robot's own order."""
    yield "Isaac Lab's (breadth first)", tuple(range(len(spec.joint_names)))
    names = list(spec.joint_names)
    for name, order in joint_orders(spec.joint_names):
        yield name, tuple(names.index(joint) for joint in order)
    yield "alphabetical", tuple(sorted(range(len(names)), key=names.__getitem__))


def _axes(term: ExamTerm) -> str:
    if len(term.scales) == 3 and term.scales[1] < 0:
        return " (x ahead, y right, z down)"
    return " (sign turned)" if term.scales[0] < 0 else ""


def numbers(values: Sequence[float]) -> str:
    """Return numbers in words."""
    return " ".join(f"{value:g}" for value in values)


def _history_label(found: Conventions) -> str:
    frames = found.stacked if found.stacked > 1 else max(term.frames for term in found.terms)
    if frames == 1:
        return "none"
    newest = found.stacked_newest_first if found.stacked > 1 else found.terms[0].newest_first
    layout = "frame by frame" if found.stacked > 1 else "term by term"
    return f"{frames} frames, {layout}, {'newest' if newest else 'oldest'} first"


def _pose_label(found: Conventions, spec: RobotSpec) -> str:
    observed, used = found.observed_pose, found.action_pose
    parts = []
    for what, pose in (("actions", used), ("joint positions", observed)):
        if pose == spec.default_joint_pos:
            parts.append(f"{what} from the robot's default")
        elif not any(pose):
            parts.append(f"{what} from zero")
        else:
            moved = [
                f"{name} {value:+.2f}"
                for name, value, default in zip(spec.joint_names, pose, spec.default_joint_pos, strict=True)
                if value != default
            ]
            parts.append(f"{what} from {', '.join(moved)}")
    return (
        "; ".join(parts)
        if parts[0].partition(" from ")[2] != parts[1].partition(" from ")[2]
        else parts[0].partition(" from ")[2]
    )
