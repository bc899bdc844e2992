"""Conventions of a bundle: which sensor each input is, and that its outputs are joint targets."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from ..policies.bundles import Bundle, BundleTensor
from ..spec.contract import PolicyContract, Robot
from ..spec.errors import UsageError
from ..tasks.robots import RobotSpec
from . import conventions as words
from .conventions import Conventions, ExamTerm
from .description import Description, places_of

_KINDS: Mapping[str, str] = {
    "state/joint/position": words.JOINT_POS,
    "state/joint/velocity": words.JOINT_VEL,
    "state/body/linear_velocity": words.LIN_VEL,
    "state/body/angular_velocity": words.ANG_VEL,
    "state/body/rotation": words.ORIENTATION,
    "command/body/velocity": words.COMMAND,
    "height_scan": words.HEIGHT_SCAN,
}
"""Quantity of each kind of input."""

_PROPERTIES: Mapping[str, tuple[str, str]] = {
    "joint_pos": (words.JOINT_POS, ""),
    "joint_vel": (words.JOINT_VEL, ""),
    "projected_gravity_b": (words.GRAVITY, "base"),
    **{
        f"root_{of}{short}_vel_{end}": (quantity, frame)
        for of in ("", "link_", "com_")
        for short, quantity in (("lin", words.LIN_VEL), ("ang", words.ANG_VEL))
        for end, frame in (("b", "base"), ("w", "world"))
    },
    **{f"root_{of}quat_w": (words.ORIENTATION, "xyzw") for of in ("", "link_", "com_")},
}
"""Quantity and frame of the properties of Isaac Lab's data that an input may come from."""

_COMMANDS = (("lin_vel_x", "lin_vel_y", "ang_vel_z"), ("lin_x", "lin_y", "ang_z"), ("x", "y", "z"), ())
"""Names of a velocity command's values that stand in the usual order."""


def describe_bundle(bundle: Bundle, contract: PolicyContract | None = None) -> Description:
    """Return a bundle as a description.

    Args:
        bundle: The bundle.
        contract: The contract inside a whole loop, which says the task and the gains.
    """
    target = bundle.of_kind("target/joint/position")
    return Description(
        kind=bundle.kind,
        source=str(bundle.path),
        content=bundle,
        joints=target.elements if target else (),
        task=contract.task if contract else "",
        control_dt=bundle.period,
        gains=_gains(contract.robot) if contract else {},
    )


def _gains(robot: Robot) -> dict[str, tuple[float, float]]:
    """Return stiffness and damping by joint; none where the robot is not driven by a spring."""
    if not any(robot.stiffness):
        return {}
    pairs = zip(robot.stiffness, robot.damping, strict=True)
    return dict(zip(robot.joint_names, pairs, strict=True))


def bundle_conventions(found: Description, spec: RobotSpec) -> Conventions:
    """Return what a bundle takes for granted: absolute joint positions go in, absolute targets come out.

    Raises:
        UsageError: It has an input that the exam cannot compute, or does not name its joints.
    """
    bundle: Bundle = found.content
    joints = places_of(found.joints, spec, found.source)
    zeros = (0.0,) * len(joints)
    conventions = Conventions(
        terms=tuple(_term(tensor, spec, found.source) for tensor in bundle.inputs),
        joints=joints,
        action_scale=(1.0,) * len(joints),
        action_pose=zeros,
        observed_pose=zeros,
    )
    if set(found.joints) <= set(found.gains):
        return with_gains(conventions, tuple(zip(*(found.gains[joint] for joint in found.joints), strict=True)))
    return conventions


def with_gains(found: Conventions, gains: tuple[tuple[float, ...], ...]) -> Conventions:
    """Return conventions with the gains that a bundle gives beside its targets, in the order of those."""
    if len(gains) != 2 or {len(values) for values in gains} != {len(found.joints)}:
        return found
    ordered = [dict(zip(found.joints, values, strict=True)) for values in gains]
    stiffness, damping = (tuple(values[joint] for joint in range(len(found.joints))) for values in ordered)
    return dataclasses.replace(found, stiffness=stiffness, damping=damping)


def _term(tensor: BundleTensor, spec: RobotSpec, source: str) -> ExamTerm:
    quantity, frame = _PROPERTIES.get(tensor.source.rpartition(":")[2], (_KINDS.get(tensor.kind, ""), ""))
    if not quantity:
        raise UsageError(
            f"the policy takes {tensor.name} ({tensor.kind or 'of no kind'}), which the exam cannot compute",
            source=source,
            allowed=", ".join(_KINDS),
        )
    if quantity == words.COMMAND and tensor.elements not in _COMMANDS:
        raise UsageError(
            f"the policy takes the command {', '.join(tensor.elements)}", source=source, allowed=", ".join(_COMMANDS[0])
        )
    if quantity == words.ORIENTATION:
        return ExamTerm(quantity=quantity, frame="wxyz" if tensor.elements[:1] in (("qw",), ("w",)) else "xyzw")
    if quantity not in (words.JOINT_POS, words.JOINT_VEL):
        return ExamTerm(quantity=quantity, frame=frame or "base")
    if len(tensor.elements) != tensor.size:
        raise UsageError(f"the joints of the policy's input {tensor.name} are not named", source=source)
    return ExamTerm(quantity=quantity, offset=(0.0,) * tensor.size, joints=places_of(tensor.elements, spec, source))
