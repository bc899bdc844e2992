"""Legs that a walking task cannot use: on wheels, on slides, sideways to the base, without a shape at their ends."""

from __future__ import annotations

from collections.abc import Sequence

import mujoco
import numpy as np

from ....spec.errors import UsageError
from ....tasks.arrays import Array
from .reading import RobotSource
from .shapes import lowest

_TILT = 0.35
"""Angle from the vertical from which a base counts as turned [rad]."""
_ROUND = 0.004
"""By how much the lowest point of a wheel may move as it turns [m]."""
_LOW = 0.4
"""Height of the base's origin over the soles, over that of the lowest hip, below which it is not in the trunk."""
_FRAME = "x to the front, y to the left, z up"


def check_upright(source: RobotSource, pose: Array) -> None:
    """Refuse a robot whose base's z axis does not point up in a pose, (nq,).

    Raises:
        UsageError: Its base is turned.
    """
    turn = np.zeros(9)
    mujoco.mju_quat2Mat(turn, pose[3:7] / np.linalg.norm(pose[3:7]))
    tilt = float(np.arccos(np.clip(turn[8], -1.0, 1.0)))
    if tilt > _TILT:
        base = source.model.body(1).name
        raise UsageError(
            f"the z axis of the base '{base}' is {np.rad2deg(tilt):.0f} degrees from up as the robot stands",
            source=source.place_of_body(base),
            allowed=_FRAME,
            hint="turn the base's own frame, and its parts the other way",
        )


def check_legs(source: RobotSource, data: mujoco.MjData, legs: Sequence[tuple[int, Sequence[int]]]) -> None:
    """Refuse legs that a walking task cannot use.

    Args:
        source: The robot's file, compiled.
        data: The robot as it was looked at.
        legs: For each the body at its end and its joints, the base's first.

    Raises:
        UsageError: A leg has a joint that is no hinge, ends without a shape or on a wheel, or steps sideways.
    """
    model = source.model
    for foot, joints in legs:
        for number in joints:
            name = model.joint(number).name
            if int(model.jnt_type[number]) != int(mujoco.mjtJoint.mjJNT_HINGE):
                raise UsageError(
                    f"joint '{name}' of a leg is no hinge",
                    source=source.place_of_joint(name),
                    hint="legs bend on hinges",
                )
            if name in source.coupled:
                raise UsageError(
                    f"joint '{name}' of a leg follows another joint",
                    source=source.place_of_joint(name),
                    hint="each joint of a leg needs a drive of its own",
                )
        name = model.body(foot).name
        if not np.any(model.body_weldid[model.geom_bodyid] == foot):
            raise UsageError(
                f"the foot '{name}' has no shape that could touch the ground",
                source=source.place_of_body(name),
                hint="give it a sphere or box, or its mesh as STL or OBJ",
            )
        if _is_wheel(model, data, foot):
            joint = model.joint(model.body_jntadr[foot]).name
            raise UsageError(
                f"'{name}' is a wheel: '{joint}' turns without end, and its lowest point stays where it is",
                source=source.place_of_joint(joint),
                hint="walking tasks step: fix the wheels to walk on them",
            )
    _check_drives(source, legs)
    _check_origin(source, data, legs)
    if len(legs) == 4:
        knees = np.array([axis for _, joints in legs for axis in data.xaxis[list(joints)[1:]]])
        if np.all(np.abs(knees[:, 0]) > 0.9):
            base = model.body(1).name
            raise UsageError(
                f"the knees turn about the x axis of the base '{base}': the robot walks along y",
                source=source.place_of_body(base),
                allowed=_FRAME,
                hint="turn the base's own frame, and its parts the other way",
            )


def _check_drives(source: RobotSource, legs: Sequence[tuple[int, Sequence[int]]]) -> None:
    """Refuse legs of which one has fewer drives than another."""
    names = [[source.model.joint(number).name for number in joints] for _, joints in legs]
    most = max(len([name for name in leg if name in source.driven]) for leg in names)
    for leg in names:
        idle = [name for name in leg if name not in source.driven]
        if len(leg) - len(idle) < most and idle:
            raise UsageError(
                f"joint '{idle[0]}' of a leg has no actuator, and other legs have one more",
                source=source.place_of_joint(idle[0]),
                hint="give it a motor",
            )


def _check_origin(source: RobotSource, data: mujoco.MjData, legs: Sequence[tuple[int, Sequence[int]]]) -> None:
    """Refuse a base whose origin is near the ground: its height says then nothing of how the robot stands."""
    model = source.model
    ground = min((lowest(model, data, foot) for foot, _ in legs), default=0.0)
    hips = min((float(data.xanchor[joints[0]][2]) for _, joints in legs), default=0.0)
    if float(data.xpos[1][2]) - ground < _LOW * (hips - ground):
        base = model.body(1).name
        raise UsageError(
            f"the origin of the base '{base}' is at the feet and not in the trunk",
            source=source.place_of_body(base),
            hint="shift the base's own frame up, and its parts down",
        )


def _is_wheel(model: mujoco.MjModel, data: mujoco.MjData, foot: int) -> bool:
    """Return whether a limb's last joint turns without end a body that is round about it."""
    joint = model.body_jntadr[foot]
    if model.jnt_limited[joint] or abs(float(data.xaxis[joint][2])) > 0.5:
        return False
    turned, place, levels = mujoco.MjData(model), model.jnt_qposadr[joint], []
    for angle in np.linspace(0.0, 2.0 * np.pi, 8, endpoint=False):
        turned.qpos[:] = data.qpos
        turned.qpos[place] += angle
        mujoco.mj_kinematics(model, turned)
        levels.append(lowest(model, turned, foot))
    return max(levels) - min(levels) < max(_ROUND, 0.1 * (float(data.xanchor[joint][2]) - min(levels)))
