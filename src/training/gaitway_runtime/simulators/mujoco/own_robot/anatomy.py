"""Anatomy of a robot: base, legs, feet, and which joint mirrors which."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import mujoco
import numpy as np

from ....spec.errors import UsageError
from ....tasks.arrays import Array
from .legs import check_legs, check_upright
from .reading import RobotSource
from .shapes import lowest
from .soles import sole_of

_NEAR_GROUND = 0.25
"""Share of the robot's height within which an end of a limb counts as a foot."""
_SAME_PLACE = 0.02
"""Distance from another's axis within which a mirrored joint counts as the same [m]."""
_SAME_AXIS = 0.2
"""How far along that axis it may be [m]: where on its axis a joint has its origin means nothing."""

_SWEEPS, _ANGLES = 2, 13
"""How often each joint of a limb is turned to find its lowest end, and through how many angles."""


@dataclass(frozen=True)
class Leg:
    """A limb that stands on the ground."""

    foot: str
    """Body at its end."""
    joints: tuple[str, ...]
    """From the base to the foot."""
    sole: tuple[Array, ...]
    """Centres of the small spheres that stand for its sole, in the foot's frame [m]."""


@dataclass(frozen=True)
class Anatomy:
    """What a robot is made of."""

    base: str
    joints: tuple[str, ...]
    """Driven joints, breadth first."""
    legs: tuple[Leg, ...]
    """Front before rear, left before right."""
    partners: dict[str, tuple[str, int]] | None
    """For each joint the one on the other side and the sign of its angle; None for a robot without symmetry."""
    upright: Array
    """Positions at which it was looked at, (nq,)."""
    keyframe: bool = False
    """Whether these are the file's first keyframe."""

    @property
    def feet(self) -> tuple[str, ...]:
        """Names of the feet."""
        return tuple(leg.foot for leg in self.legs)


def look_at(source: RobotSource, keyframe: bool = True) -> Anatomy:
    """Return the anatomy of a robot.

    Args:
        source: The robot's file, compiled.
        keyframe: Whether it is looked at in its first keyframe, else with every joint near zero.

    Raises:
        UsageError: It has no two or four feet on the ground, or is turned, or rolls on wheels.
    """
    model, data = source.model, mujoco.MjData(source.model)
    keyframe = keyframe and model.nkey > 0
    check_upright(source, model.key_qpos[0] if keyframe else model.qpos0)
    data.qpos[:] = model.key_qpos[0] if keyframe else zero_pose(model)
    data.qpos[3:7] = 1.0, 0.0, 0.0, 0.0
    mujoco.mj_forward(model, data)
    joints = _breadth_first(model, source.driven)
    legs = _legs(model, data, joints)
    if len(legs) not in (2, 4) and not keyframe:
        _let_hang(model, data)
        legs = _legs(model, data, joints)
    if len(legs) not in (2, 4):
        raise UsageError(
            f"{len(legs)} feet are on the ground: {', '.join(leg.foot for leg in legs) or 'none'}",
            source=str(source.path),
            allowed="2 or 4",
            hint="a foot is the last body of a limb, with a geom that touches the ground",
        )
    check_legs(source, data, [(model.body(leg.foot).id, joints_above(model, model.body(leg.foot).id)) for leg in legs])
    base = model.body(model.jnt_bodyid[0]).name
    return Anatomy(base, joints, legs, _partners(model, data, joints), data.qpos.copy(), keyframe)


def zero_pose(model: mujoco.MjModel) -> Array:
    """Return every joint at zero or as near as its range allows, with the base level."""
    pose = np.array(model.qpos0)
    pose[3:7] = 1.0, 0.0, 0.0, 0.0
    for number in range(model.njnt):
        if model.jnt_limited[number]:
            low, high = model.jnt_range[number]
            pose[model.jnt_qposadr[number]] = np.clip(0.0, low, high)
    return pose


def _let_hang(model: mujoco.MjModel, data: mujoco.MjData) -> None:
    """Turn every limb so that its end is as low as its joints let it be: at zero, legs may be folded away."""
    data.qpos[:] = zero_pose(model)
    for end in _ends(model):
        let_down(model, data, end, partial(lowest, model, data, end))
    mujoco.mj_forward(model, data)


def let_down(model: mujoco.MjModel, data: mujoco.MjData, end: int, level: Callable[[], float]) -> None:
    """Turn the joints above a limb's last body so that this is as low as they let it be.

    Args:
        model: The robot.
        data: Where its joints are; changed.
        end: The body.
        level: Returns the height to make as small as can be [m].
    """
    for _ in range(_SWEEPS):
        for joint in joints_above(model, end):
            if int(model.jnt_type[joint]) != int(mujoco.mjtJoint.mjJNT_HINGE):
                continue
            place = model.jnt_qposadr[joint]
            low, high = within_a_turn(model, joint, np.pi)
            # The straight leg of two that reach as low: the one nearest to where it was.
            angles = np.append(np.linspace(low, high, _ANGLES), np.clip(data.qpos[place], low, high))
            angles = angles[np.argsort(np.abs(angles - data.qpos[place]), kind="stable")]
            reached = []
            for angle in angles:
                data.qpos[place] = angle
                mujoco.mj_kinematics(model, data)
                reached.append(round(level(), 4))
            data.qpos[place] = angles[int(np.argmin(reached))]


def within_a_turn(model: mujoco.MjModel, joint: int, free: float) -> tuple[float, float]:
    """Return a joint's range; -``free`` to ``free`` where it has none or may turn more than once [rad]."""
    low, high = (float(bound) for bound in model.jnt_range[joint])
    return (low, high) if model.jnt_limited[joint] and high - low <= 2.0 * np.pi else (-free, free)


def _ends(model: mujoco.MjModel) -> list[int]:
    """Return the last bodies of all limbs: they move, and nothing moves against them."""
    carries = {
        int(model.body_weldid[model.body_parentid[body]]) for body in range(2, model.nbody) if model.body_jntnum[body]
    }
    return [body for body in range(2, model.nbody) if model.body_jntnum[body] and body not in carries]


def joints_above(model: mujoco.MjModel, body: int) -> list[int]:
    """Return the joints between the base and a body, the base's first."""
    found: list[int] = []
    while body > 1:
        first, count = model.body_jntadr[body], model.body_jntnum[body]
        found[:0] = range(first, first + count)
        body = model.body_parentid[body]
    return found


def _breadth_first(model: mujoco.MjModel, driven: tuple[str, ...]) -> tuple[str, ...]:
    """Return the driven joints breadth first over the tree, as Isaac Lab orders them."""
    depth = np.zeros(model.nbody, int)
    for body in range(1, model.nbody):
        depth[body] = depth[model.body_parentid[body]] + 1
    numbers = [model.joint(name).id for name in driven]
    return tuple(model.joint(k).name for k in sorted(numbers, key=lambda k: (depth[model.jnt_bodyid[k]], k)))


def _legs(model: mujoco.MjModel, data: mujoco.MjData, joints: tuple[str, ...]) -> tuple[Leg, ...]:
    levels = {body: lowest(model, data, body) for body in range(1, model.nbody)}
    least = min(levels.values())
    height = float(data.xpos[1:, 2].max()) - least
    found = []
    for body in _ends(model):
        chain = _chain(model, body, joints)
        if chain and len(joints_above(model, body)) >= 2 and levels[body] - least < _NEAR_GROUND * height:
            found.append(Leg(model.body(body).name, chain, sole_of(model, data, body)))
    if len(found) == 2:
        found = [replace(leg, sole=sole_of(model, data, model.body(leg.foot).id, level=False)) for leg in found]
    shared = {name for leg in found for name in leg.joints if all(name in other.joints for other in found)}
    if len(found) > 1:  # a waist between the base and all legs is no leg's
        found = [replace(leg, joints=tuple(name for name in leg.joints if name not in shared)) for leg in found]
    x = {leg.foot: data.body(leg.foot).xpos for leg in found}
    middle = np.mean([place[0] for place in x.values()]) if x else 0.0
    spread = max((abs(place[0] - middle) for place in x.values()), default=0.0)
    rear = {foot: len(found) > 2 and place[0] < middle and spread > 0.02 for foot, place in x.items()}
    return tuple(sorted(found, key=lambda leg: (rear[leg.foot], -x[leg.foot][1])))


def _chain(model: mujoco.MjModel, body: int, joints: tuple[str, ...]) -> tuple[str, ...]:
    names = (model.joint(number).name for number in joints_above(model, body))
    return tuple(name for name in names if name in joints)


def _partners(model: mujoco.MjModel, data: mujoco.MjData, joints: tuple[str, ...]) -> dict[str, tuple[str, int]] | None:
    """Pair the joints across the plane y = 0 of the base."""
    origin, turn = data.xpos[1], data.xmat[1].reshape(3, 3)
    places = {name: (data.joint(name).xanchor - origin) @ turn for name in joints}
    axes = {name: data.joint(name).xaxis @ turn for name in joints}
    depth = {name: len(joints_above(model, model.jnt_bodyid[model.joint(name).id])) for name in joints}
    pairs: dict[str, tuple[str, int]] = {}
    for name in joints:
        across = places[name] * (1, -1, 1)
        # A mirror turns a rotation's axis the other way in the mirror's plane.
        axis = axes[name] * (-1, 1, -1)
        apart = {other: places[other] - across for other in joints}
        far = {other: float(np.abs(gap).max()) for other, gap in apart.items()}
        alike = [
            other
            for other in joints
            if abs(float(axes[other] @ axis)) > 0.95
            and far[other] < _SAME_AXIS
            and np.linalg.norm(np.cross(apart[other], axes[other])) < _SAME_PLACE
        ]
        if not alike:
            return None
        # Axes of a wrist meet at one point: the partner is as far along its limb.
        partner = min(alike, key=lambda other: (abs(depth[other] - depth[name]), round(far[other], 3), other != name))
        pairs[name] = (partner, 1 if float(axes[partner] @ axis) > 0 else -1)
    whole = all(pairs[partner][0] == name for name, (partner, _) in pairs.items())
    return pairs if whole else None
