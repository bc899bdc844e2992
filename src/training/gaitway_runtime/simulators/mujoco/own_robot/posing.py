"""Standing pose of a robot: its keyframe, or legs bent under the hips."""

from __future__ import annotations

import mujoco
import numpy as np

from ....tasks.arrays import Array
from .anatomy import Anatomy, Leg, let_down, within_a_turn, zero_pose
from .reading import RobotSource
from .shapes import lowest
from .soles import SOLE_RADIUS

_BENT = {2: 0.95, 4: 0.72}
"""Height of the hip over the sole, over that of the leg let down as far as it goes, by the number of legs."""
_TRIES = 12
_FOLDED = 0.4
"""Height of the hip over the sole, over that of the leg let down, below which a robot does not stand but lies."""
_BALANCING = 4
"""How often the legs of a robot with two are bent anew to bring its centre of mass over its soles."""
_CLEARANCE = 0.02
"""Height of the soles over the ground at the start of an episode [m]."""


def standing_pose(source: RobotSource, anatomy: Anatomy) -> tuple[Array, bool]:
    """Return positions in which a robot stands, (nq,), and whether they are a guess."""
    if anatomy.keyframe:
        return anatomy.upright.copy(), False
    model, data = source.model, mujoco.MjData(source.model)
    forward = 0.0
    for _ in range(_BALANCING if len(anatomy.legs) == 2 else 1):
        data.qpos[:] = anatomy.upright
        _bend_legs(model, data, anatomy, forward)
        forward += _ahead(model, data, anatomy)
    return np.array(data.qpos), True


def _bend_legs(model: mujoco.MjModel, data: mujoco.MjData, anatomy: Anatomy, forward: float) -> None:
    solved: set[str] = set()
    for leg in anatomy.legs:
        if not solved.intersection(leg.joints):
            _bend(model, data, anatomy, leg, forward)
            solved.update(leg.joints)
            solved.update(_copy_across(model, data, anatomy, leg))


def _ahead(model: mujoco.MjModel, data: mujoco.MjData, anatomy: Anatomy) -> float:
    """Return by how much the centre of mass is ahead of where feet bear it well [m].

    That is half-way between the last joints and the middle of the soles: far from the edges of the soles, and an ankle
    carries little.
    """
    mujoco.mj_kinematics(model, data)
    mujoco.mj_comPos(model, data)
    soles = np.mean([_sole_centre(model, data, leg)[0] for leg in anatomy.legs])
    ankles = np.mean([data.xanchor[model.joint(leg.joints[-1]).id][0] for leg in anatomy.legs])
    return float(data.subtree_com[1, 0] - (soles + ankles) / 2)


def _sole_centre(model: mujoco.MjModel, data: mujoco.MjData, leg: Leg) -> Array:
    centre: Array = np.mean(_sole_points(model, data, leg), axis=0)
    return centre


def _sole_points(model: mujoco.MjModel, data: mujoco.MjData, leg: Leg) -> list[Array]:
    """Return where the spheres of a leg's sole are in the world [m]."""
    foot = model.body(leg.foot).id
    turn = data.xmat[foot].reshape(3, 3)
    return [data.xpos[foot] + turn @ point for point in leg.sole]


def base_height(source: RobotSource, anatomy: Anatomy, pose: Array) -> float:
    """Return the height of the base over the soles in a pose [m]."""
    model, data = source.model, mujoco.MjData(source.model)
    data.qpos[:] = pose
    mujoco.mj_kinematics(model, data)
    mujoco.mj_comPos(model, data)
    return float(data.xpos[1, 2] - min(_level(model, data, leg) for leg in anatomy.legs))


def start_height(stand: float) -> float:
    """Return the height of the base at the start of an episode: just above where it stands [m]."""
    return round(stand + _CLEARANCE, 4)


def _bend(model: mujoco.MjModel, data: mujoco.MjData, anatomy: Anatomy, leg: Leg, forward: float) -> None:
    """Turn a leg's joints so that its sole lies flat under its first joint, or ahead of it, with the knee bent."""
    numbers = [model.joint(name).id for name in leg.joints]
    places = model.jnt_qposadr[numbers]
    low, high = np.array([_range(model, anatomy, name) for name in leg.joints]).T
    mujoco.mj_kinematics(model, data)
    beside = _sole_centre(model, data, leg)[1]
    height = _BENT[len(anatomy.legs)] * _reach(model, leg)

    def missed(angles: Array) -> Array:
        data.qpos[places] = angles
        mujoco.mj_kinematics(model, data)
        points = _sole_points(model, data, leg)
        centre, hip = np.mean(points, axis=0), data.xanchor[numbers[0]]
        tilt = [point[2] - points[0][2] for point in points[1:]]
        wanted = hip[2] - height + SOLE_RADIUS
        ahead = centre[0] - hip[0] - forward
        return np.array([ahead, centre[1] - beside, centre[2] - wanted, *tilt, *(0.02 * angles)])

    rng = np.random.default_rng(0)
    middle = np.clip(0.0, low + 0.1 * (high - low), high - 0.1 * (high - low))
    starts = [middle, *(np.clip(middle + rng.normal(0, 0.4, len(low)), low, high) for _ in range(_TRIES))]
    solved = [_least_squares(missed, start, low, high) for start in starts]
    best = min(solved, key=lambda angles: float(np.square(missed(angles)).sum()))
    data.qpos[places] = best


def _range(model: mujoco.MjModel, anatomy: Anatomy, name: str) -> tuple[float, float]:
    """Return the range of a joint that its partner shares, or its own where they share none [rad]."""
    low, high = _own_range(model, name)
    partner, sign = (anatomy.partners or {}).get(name, (name, 1))
    across = sorted(sign * bound for bound in _own_range(model, partner))
    shared = max(low, across[0]), min(high, across[1])
    return shared if shared[0] < shared[1] else (low, high)


def _own_range(model: mujoco.MjModel, name: str) -> tuple[float, float]:
    return within_a_turn(model, model.joint(name).id, 1.5)


def is_folded(source: RobotSource, anatomy: Anatomy) -> bool:
    """Return whether a robot lies or sits in the pose that it was looked at: legs folded, joints beyond their range."""
    model, data = source.model, mujoco.MjData(source.model)
    data.qpos[:] = anatomy.upright
    mujoco.mj_kinematics(model, data)
    for name in anatomy.joints:
        number = model.joint(name).id
        low, high = model.jnt_range[number]
        if model.jnt_limited[number] and not low - 1e-3 <= data.qpos[model.jnt_qposadr[number]] <= high + 1e-3:
            return True
    heights = [data.xanchor[model.joint(leg.joints[0]).id][2] - _level(model, data, leg) for leg in anatomy.legs]
    reaches = [_reach(model, leg) for leg in anatomy.legs]
    return float(np.sum(heights)) < _FOLDED * float(np.sum(reaches))


def _level(model: mujoco.MjModel, data: mujoco.MjData, leg: Leg) -> float:
    return lowest(model, data, model.body(leg.foot).id)


def _reach(model: mujoco.MjModel, leg: Leg) -> float:
    """Return how far a leg's first joint is above its sole when the leg is let down [m].

    A foot with a flat sole is let down by its ankle: its toes could point down.
    """
    hanging = mujoco.MjData(model)
    hanging.qpos[:] = zero_pose(model)
    mujoco.mj_kinematics(model, hanging)
    foot, hip = model.body(leg.foot).id, model.joint(leg.joints[0]).id
    flat = len(leg.sole) > 1
    beneath = _beneath(leg) if flat else 0.0

    def level() -> float:
        return float(hanging.xpos[foot][2]) if flat else lowest(model, hanging, foot)

    let_down(model, hanging, foot, level)
    mujoco.mj_kinematics(model, hanging)
    return float(hanging.xanchor[hip][2]) - level() + beneath


def _beneath(leg: Leg) -> float:
    """Return how far a flat sole is beneath its foot's origin when it is level [m]."""
    first, second, third = leg.sole[:3]
    across = np.cross(third - first, second - first)
    size = float(np.linalg.norm(across))
    return SOLE_RADIUS + (abs(float(first @ across)) / size if size > 0.0 else float(np.linalg.norm(first)))


def _least_squares(missed: object, angles: Array, low: Array, high: Array) -> Array:
    """Return angles that miss least, by damped Gauss-Newton within limits."""
    assert callable(missed)
    for _ in range(25):
        residual = missed(angles)
        columns = [(missed(angles + step) - residual) / 1e-5 for step in 1e-5 * np.eye(len(angles))]
        jacobian = np.stack(columns, axis=1)
        square = jacobian.T @ jacobian + 1e-4 * np.eye(len(angles))
        angles = np.clip(angles - np.linalg.solve(square, jacobian.T @ residual), low, high)
    return angles


def _copy_across(model: mujoco.MjModel, data: mujoco.MjData, anatomy: Anatomy, leg: Leg) -> list[str]:
    """Give the joints on the other side the mirrored angles; return their names."""
    if anatomy.partners is None:
        return []
    done = []
    for name in leg.joints:
        partner, sign = anatomy.partners[name]
        data.qpos[model.joint(partner).qposadr[0]] = sign * data.qpos[model.joint(name).qposadr[0]]
        done.append(partner)
    return done
