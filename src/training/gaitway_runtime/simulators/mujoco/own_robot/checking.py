"""Examination of a robot: it is dropped, stands, and swings each joint; what is wrong is named."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import mujoco
import numpy as np

from ....tasks.arrays import Array
from ....tasks.links import Link
from ....tasks.velocity.own import OwnJoint, OwnRobot
from .gains import model_of, stand, stand_stiffly

_SWING = 0.2
"""Step of a joint that is swung [rad]."""
_SWING_SECONDS = 0.6
DROP = 0.1
"""Height from which a robot is dropped [m]."""
_UNEVEN = 0.03
"""Height between feet from which a pose does not stand on all of them [m]."""
_STRAIN = 0.8
"""Share of its torque limit that a joint may need to stand."""


@dataclass(frozen=True)
class Examined:
    """One thing that was looked at."""

    what: str
    """For example ``mass of FL_calf``."""
    right: bool
    found: str
    """What was found, in words."""
    hint: str = ""


def examine(robot: OwnRobot) -> tuple[Examined, ...]:
    """Return everything that was looked at; what is wrong first.

    A robot with impossible bodies or ranges is not set in motion.
    """
    looked = [*_bodies(robot), *_ranges(robot)]
    if all(one.right for one in looked):
        looked += [*_ground(robot), *_standing(robot), *_dropping(robot), *_swinging(robot)]
    return tuple(sorted(looked, key=lambda one: one.right))


def _bodies(robot: OwnRobot) -> Iterator[Examined]:
    yield Examined("mass", 0.5 <= robot.mass <= 500.0, f"{robot.mass:.1f} kg", "is the file in kilograms?")
    for link in robot.links:
        if link.mass:
            yield from _inertia(link)
    partners = {joint.name: joint.partner for joint in robot.joints}
    moved = {link.joint.name: link for link in robot.links if link.joint}
    for name, link in moved.items():
        other = moved.get(partners.get(name, ""), link)
        if link.name < other.name:
            yield Examined(
                f"mass of {link.name} and {other.name}",
                max(link.mass, other.mass) <= 1.5 * min(link.mass, other.mass) + 0.01,
                f"{link.mass:.2f} kg and {other.mass:.2f} kg",
                "one is the other's mirror image, but not its weight",
            )


def _inertia(link: Link) -> Iterator[Examined]:
    xx, yy, zz, *products = link.inertia
    xy, xz, yz = products or (0.0, 0.0, 0.0)
    moments = np.linalg.eigvalsh(np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]]))
    small, middle, large = moments
    right = small > 0.0 and small + middle >= 0.98 * large
    yield Examined(
        f"inertia of {link.name}", bool(right), f"{small:.2g}, {middle:.2g}, {large:.2g} kg m^2", "no body has such one"
    )
    size = float(np.sqrt(large / link.mass))
    yield Examined(
        f"size of {link.name}", size < 1.0, f"its mass lies {size:.2f} m from its centre", "is the inertia in kg m^2?"
    )


def _ranges(robot: OwnRobot) -> Iterator[Examined]:
    by_joint = {link.joint.name: link.joint for link in robot.links if link.joint}
    for joint in robot.joints:
        low, high = by_joint[joint.name].range
        across = by_joint.get(joint.partner)
        if across and joint.name < joint.partner:
            mirrored = sorted(-bound if joint.flipped else bound for bound in across.range)
            yield Examined(
                f"range of {joint.name} and {joint.partner}",
                max(abs(low - mirrored[0]), abs(high - mirrored[1])) < 0.2,
                f"{low:.2f} to {high:.2f} rad, mirrored {mirrored[0]:.2f} to {mirrored[1]:.2f}",
                "one is the other's mirror image: is an axis turned round, or a range?",
            )
        length = float(np.linalg.norm(by_joint[joint.name].axis))
        yield Examined(
            f"range of {joint.name}",
            low < high and low - 1e-3 <= joint.pos <= high + 1e-3,
            f"{low:.2f} to {high:.2f} rad, {joint.pos:.2f} by default",
            "the default pose must lie in the range",
        )
        turns = max(abs(low), abs(high)) > 4.0 * np.pi
        yield Examined(
            f"unit of {joint.name}",
            not turns and high - low > 0.05,
            f"{low:.2f} to {high:.2f} rad is {'many turns' if turns else 'hardly a movement'}",
            "are its limits in radians?" if turns else "are its limits in degrees, and its file's in radians?",
        )
        yield Examined(
            f"axis of {joint.name}", abs(length - 1.0) < 0.01, f"length {length:.2f}", "an axis has length 1"
        )


def _ground(robot: OwnRobot) -> Iterator[Examined]:
    model = model_of(robot)
    data = mujoco.MjData(model)
    for joint in robot.joints:
        data.joint(joint.name).qpos[0] = joint.pos
    mujoco.mj_forward(model, data)
    soles = {foot: _sole_level(model, data, foot) for foot in robot.feet}
    low, *_, high = sorted(soles, key=lambda foot: soles[foot])
    apart = soles[high] - soles[low]
    yield Examined(
        "feet",
        apart < _UNEVEN,
        f"{low} is {apart * 1000:.0f} mm below {high} in the default pose",
        "is a leg longer, or its pose another?",
    )
    deepest = min((float(contact.dist) for contact in data.contact), default=0.0)
    buried = max(0.0, -deepest) * 1000
    yield Examined(
        "start", buried < 5.0, f"{buried:.0f} mm in the ground", "raise init_height: feet start under ground"
    )


def _sole_level(model: mujoco.MjModel, data: mujoco.MjData, foot: str) -> float:
    """Return the height of a foot's lowest sphere over the ground [m]."""
    geoms = np.flatnonzero(model.geom_bodyid == model.body(foot).id)
    return min(float(data.geom_xpos[geom][2] - model.geom_size[geom][0]) for geom in geoms)


def _standing(robot: OwnRobot) -> Iterator[Examined]:
    stood = stand(robot)
    yield Examined(
        "standing",
        stood.held,
        f"after 3 s the base is {stood.sank * 100:.1f} cm lower and {np.rad2deg(stood.tilt):.0f} degrees tilted",
        "on two points nobody stands still: it would have to step, or needs soles"
        if len(robot.feet) == 2 and all(len(link.geoms) == 1 for link in robot.links if link.name in robot.feet)
        else "raise the gains, or put the feet under the centre of mass",
    )
    # What a robot that lies on the ground feels says nothing of what standing would ask.
    asked = stood if stood.held else stand_stiffly(robot)
    for joint, torque in zip(robot.joints, asked.torque if asked.held else stood.torque, strict=True):
        share = float(torque) / joint.effort if joint.effort else np.inf
        yield Examined(
            f"torque of {joint.name}", share < _STRAIN, f"{share:.0%} of its limit to stand", "raise its limit"
        )


def _dropping(robot: OwnRobot) -> Iterator[Examined]:
    fallen = stand(robot, drop=DROP)
    down = abs(fallen.sank) >= 0.5 * robot.stand_height
    if not fallen.finite:
        found = "it comes apart"
    elif down:
        found = f"it falls over: after 3 s its base is {fallen.sank * 100:.0f} cm lower than it stands"
    else:
        found = "it stays on its feet"
    # Nobody balances a robot on two legs here: it may fall over, but not come apart.
    yield Examined(
        "drop",
        fallen.finite and (not down or len(robot.feet) == 2),
        f"dropped from {DROP:g} m {found}",
        "look at contacts, inertia and damping",
    )


def held_in_the_air(robot: OwnRobot) -> mujoco.MjModel:
    """Compile a robot whose base is held and which weighs nothing."""
    model = model_of(robot, fixed=True)
    model.opt.gravity[:] = 0.0
    return model


def _swinging(robot: OwnRobot) -> Iterator[Examined]:
    model = held_in_the_air(robot)
    for number, joint in enumerate(robot.joints):
        reached = _swing(model, robot, number)
        yield Examined(
            f"swing of {joint.name}",
            0.6 < reached < 1.5,
            f"{reached:.0%} of {_SWING:g} rad after {_SWING_SECONDS:g} s",
            "its gains do not fit its inertia",
        )


def _swing(model: mujoco.MjModel, robot: OwnRobot, number: int) -> float:
    """Return how far a joint comes with a step of its target, over the step."""
    course, step = swing(model, robot, number)
    return float((course[-1, number] - robot.joints[number].pos) / step)


def swing(model: mujoco.MjModel, robot: OwnRobot, number: int) -> tuple[Array, float]:
    """Step a joint's target with the base held; return all joints at every physics step, (T, J), and the step [rad]."""
    data, pose = mujoco.MjData(model), _pose(robot.joints)
    places = np.array([model.joint(joint.name).qposadr[0] for joint in robot.joints])
    data.qpos[places] = pose
    low, high = model.joint(robot.joints[number].name).range
    step = _SWING if pose[number] + _SWING <= high or pose[number] - _SWING < low else -_SWING
    data.ctrl[:] = pose
    data.ctrl[number] += step
    course = []
    for _ in range(round(_SWING_SECONDS / model.opt.timestep)):
        mujoco.mj_step(model, data)
        course.append(data.qpos[places])
    return np.array(course), step


def _pose(joints: tuple[OwnJoint, ...]) -> Array:
    return np.array([joint.pos for joint in joints])
