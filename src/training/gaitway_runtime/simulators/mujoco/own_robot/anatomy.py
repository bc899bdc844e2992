"""Anatomy of a robot: base, legs, feet, and which joint mirrors which."""

from __future__ import annotations

from dataclasses import dataclass

import mujoco
import numpy as np
from numpy.typing import NDArray

from ....spec.errors import UsageError
from ....tasks.arrays import Array
from .reading import RobotSource

_NEAR_GROUND = 0.25
"""Share of the robot's height within which an end of a limb counts as a foot."""
_SAME_PLACE = 0.02
"""Distance within which a mirrored joint counts as another's place [m]."""

_SWEEPS, _ANGLES = 2, 13
"""How often each joint of a limb is turned to find its lowest end, and through how many angles."""

SOLE_RADIUS = 0.015
"""Radius of the spheres that stand for a sole [m]."""


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

    @property
    def feet(self) -> tuple[str, ...]:
        """Names of the feet."""
        return tuple(leg.foot for leg in self.legs)


def look_at(source: RobotSource) -> Anatomy:
    """Return the anatomy of a robot.

    Raises:
        UsageError: It has no two or four feet on the ground.
    """
    model, data = source.model, mujoco.MjData(source.model)
    data.qpos[:] = _first_pose(model)
    mujoco.mj_forward(model, data)
    joints = _breadth_first(model, source.driven)
    legs = _legs(model, data, joints)
    if len(legs) not in (2, 4) and not model.nkey:
        _let_hang(model, data)
        legs = _legs(model, data, joints)
    if len(legs) not in (2, 4):
        raise UsageError(
            f"{len(legs)} feet are on the ground: {', '.join(leg.foot for leg in legs) or 'none'}",
            source=str(source.path),
            allowed="2 or 4",
            hint="a foot is the last body of a limb, with a geom that touches the ground",
        )
    base = model.body(model.jnt_bodyid[0]).name
    return Anatomy(base, joints, legs, _partners(model, data, joints), data.qpos.copy())


def _first_pose(model: mujoco.MjModel) -> Array:
    """Return the first keyframe, else every joint at zero or as near as its range allows."""
    if model.nkey:
        return np.array(model.key_qpos[0])
    pose = np.array(model.qpos0)
    for number in range(model.njnt):
        if model.jnt_limited[number]:
            low, high = model.jnt_range[number]
            pose[model.jnt_qposadr[number]] = np.clip(0.0, low, high)
    return pose


def _let_hang(model: mujoco.MjModel, data: mujoco.MjData) -> None:
    """Turn every limb so that its end is as low as its joints let it be: at zero, legs may be folded away."""
    data.qpos[:] = _first_pose(model)
    ends = [body for body in range(2, model.nbody) if not _moves_below(model, body) and model.body_jntnum[body]]
    for _ in range(_SWEEPS):
        for end in ends:
            for joint in _joints_above(model, end):
                place = model.jnt_qposadr[joint]
                low, high = model.jnt_range[joint] if model.jnt_limited[joint] else (-np.pi, np.pi)
                # The straight leg of two that reach as low: the one nearest to where it was.
                angles = np.linspace(low, high, _ANGLES)
                angles = angles[np.argsort(np.abs(angles - data.qpos[place]), kind="stable")]
                reached = []
                for angle in angles:
                    data.qpos[place] = angle
                    mujoco.mj_kinematics(model, data)
                    reached.append(round(_lowest(model, data, end), 4))
                data.qpos[place] = angles[int(np.argmin(reached))]
    mujoco.mj_forward(model, data)


def _joints_above(model: mujoco.MjModel, body: int) -> list[int]:
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
    lowest = {body: _lowest(model, data, body) for body in range(1, model.nbody)}
    least = min(lowest.values())
    height = float(data.xpos[1:, 2].max()) - least
    ends = [body for body in range(2, model.nbody) if not _moves_below(model, body) and model.body_jntnum[body]]
    found = []
    for body in ends:
        chain = _chain(model, body, joints)
        if len(chain) >= 2 and lowest[body] - least < _NEAR_GROUND * height:
            found.append(Leg(model.body(body).name, chain, _sole(model, data, body)))
    x = {leg.foot: data.body(leg.foot).xpos for leg in found}
    middle = np.mean([place[0] for place in x.values()]) if x else 0.0
    spread = max((abs(place[0] - middle) for place in x.values()), default=0.0)
    rear = {foot: len(found) > 2 and place[0] < middle and spread > 0.02 for foot, place in x.items()}
    return tuple(sorted(found, key=lambda leg: (rear[leg.foot], -x[leg.foot][1])))


def _moves_below(model: mujoco.MjModel, body: int) -> bool:
    return any(model.body_parentid[child] == body and model.body_jntnum[child] for child in range(1, model.nbody))


def _chain(model: mujoco.MjModel, body: int, joints: tuple[str, ...]) -> tuple[str, ...]:
    names = (model.joint(number).name for number in _joints_above(model, body))
    return tuple(name for name in names if name in joints)


def _touching(model: mujoco.MjModel, body: int) -> list[int]:
    """Return the geoms of a body that touch something; all of them where none does."""
    geoms = [int(g) for g in np.flatnonzero(model.geom_bodyid == body)]
    return [g for g in geoms if model.geom_contype[g] or model.geom_conaffinity[g]] or geoms


def points_of(model: mujoco.MjModel, geom: int) -> Array:
    """Return points on a geom's hull, in the geom's frame [m], (n, 3)."""
    kind, size = int(model.geom_type[geom]), model.geom_size[geom]
    if kind == int(mujoco.mjtGeom.mjGEOM_MESH):
        mesh = model.geom_dataid[geom]
        start = model.mesh_vertadr[mesh]
        return np.array(model.mesh_vert[start : start + model.mesh_vertnum[mesh]], float)
    if kind == int(mujoco.mjtGeom.mjGEOM_SPHERE):
        points: Array = np.vstack((np.eye(3), -np.eye(3))) * size[0]
        return points
    half = np.array(size, float)
    if kind == int(mujoco.mjtGeom.mjGEOM_CAPSULE):
        half = np.array((size[0], size[0], size[1] + size[0]))
    elif kind == int(mujoco.mjtGeom.mjGEOM_CYLINDER):
        half = np.array((size[0], size[0], size[1]))
    points = np.array([(x, y, z) for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], float) * half
    return points


def world_points(model: mujoco.MjModel, data: mujoco.MjData, body: int) -> Array:
    """Return points on the hull of what a body touches with, in the world [m], (n, 3); its origin where it has none."""
    found = [
        points_of(model, g) @ data.geom_xmat[g].reshape(3, 3).T + data.geom_xpos[g] for g in _touching(model, body)
    ]
    return np.vstack(found) if found else data.xpos[body][None].copy()


def _lowest(model: mujoco.MjModel, data: mujoco.MjData, body: int) -> float:
    return float(world_points(model, data, body)[:, 2].min())


def _sole(model: mujoco.MjModel, data: mujoco.MjData, body: int) -> tuple[Array, ...]:
    """Return up to four corners of the foot's underside, or its single lowest point for a small foot."""
    points = world_points(model, data, body)
    low = points[points[:, 2] < points[:, 2].min() + 0.015]
    turn, origin = data.xmat[body].reshape(3, 3), data.xpos[body]
    spread = low[:, :2].max(axis=0) - low[:, :2].min(axis=0)
    if spread.max() < 0.06:
        corner = np.array((*low[:, :2].mean(axis=0), points[:, 2].min() + SOLE_RADIUS))
        return ((corner - origin) @ turn,)
    (x0, y0), (x1, y1) = low[:, :2].min(axis=0), low[:, :2].max(axis=0)
    corners = [(x0, y0), (x0, y1), (x1, y0), (x1, y1)]
    level = points[:, 2].min() + SOLE_RADIUS
    return tuple((np.array((x, y, level)) - origin) @ turn for x, y in corners)


def _partners(model: mujoco.MjModel, data: mujoco.MjData, joints: tuple[str, ...]) -> dict[str, tuple[str, int]] | None:
    """Pair the joints across the plane y = 0 of the base."""
    origin, turn = data.xpos[1], data.xmat[1].reshape(3, 3)
    places = {name: (data.joint(name).xanchor - origin) @ turn for name in joints}
    axes = {name: data.joint(name).xaxis @ turn for name in joints}
    pairs: dict[str, tuple[str, int]] = {}
    for name in joints:
        across = places[name] * (1, -1, 1)
        # A mirror turns a rotation's axis the other way in the mirror's plane.
        axis = axes[name] * (-1, 1, -1)
        near = [other for other in joints if np.abs(places[other] - across).max() < _SAME_PLACE]
        alike = [(abs(float(axes[other] @ axis)), other) for other in near]
        likeness, partner = max(alike, default=(0.0, ""))
        if likeness < 0.95:
            return None
        pairs[name] = (partner, 1 if float(axes[partner] @ axis) > 0 else -1)
    whole = all(pairs[partner][0] == name for name, (partner, _) in pairs.items())
    return pairs if whole else None


def hull(points: NDArray[np.float64]) -> tuple[Array, Array]:
    """Return centre and half sizes of the box around points."""
    low, high = points.min(axis=0), points.max(axis=0)
    return (low + high) / 2, (high - low) / 2
