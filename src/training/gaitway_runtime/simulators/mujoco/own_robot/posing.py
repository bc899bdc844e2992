"""Standing pose of a robot: its keyframe, or legs bent under the hips."""

from __future__ import annotations

import mujoco
import numpy as np

from ....tasks.arrays import Array
from .anatomy import Anatomy, Leg, world_points
from .reading import RobotSource

_BENT = {2: 0.95, 4: 0.72}
"""Height of the hip over the sole, over the length of the stretched leg, by the number of legs."""
_TRIES = 12
_CLEARANCE = 0.02
"""Height of the soles over the ground at the start of an episode [m]."""


def standing_pose(source: RobotSource, anatomy: Anatomy) -> tuple[Array, bool]:
    """Return positions in which a robot stands, (nq,), and whether they are a guess."""
    if source.model.nkey:
        return anatomy.upright.copy(), False
    model, data = source.model, mujoco.MjData(source.model)
    data.qpos[:] = anatomy.upright
    solved: set[str] = set()
    for leg in anatomy.legs:
        if not solved.intersection(leg.joints):
            _bend(model, data, leg, _BENT[len(anatomy.legs)])
            solved.update(leg.joints)
            solved.update(_copy_across(model, data, anatomy, leg))
    return np.array(data.qpos), True


def base_height(source: RobotSource, anatomy: Anatomy, pose: Array) -> float:
    """Return the height of the base over the soles in a pose [m]."""
    model, data = source.model, mujoco.MjData(source.model)
    data.qpos[:] = pose
    mujoco.mj_kinematics(model, data)
    mujoco.mj_comPos(model, data)
    lowest = min(world_points(model, data, model.body(foot).id)[:, 2].min() for foot in anatomy.feet)
    return float(data.xpos[1, 2] - lowest)


def start_height(stand: float) -> float:
    """Return the height of the base at the start of an episode: just above where it stands [m]."""
    return round(stand + _CLEARANCE, 4)


def _bend(model: mujoco.MjModel, data: mujoco.MjData, leg: Leg, bent: float) -> None:
    """Turn a leg's joints so that its sole lies flat under its first joint, with the knee bent."""
    numbers = [model.joint(name).id for name in leg.joints]
    places = model.jnt_qposadr[numbers]
    low, high = model.jnt_range[numbers].T
    limited = model.jnt_limited[numbers].astype(bool)
    low, high = np.where(limited, low, -1.5), np.where(limited, high, 1.5)
    mujoco.mj_kinematics(model, data)
    foot = model.body(leg.foot).id
    anchors = [np.array(data.xanchor[k]) for k in numbers]
    sole = np.mean([data.xpos[foot] + data.xmat[foot].reshape(3, 3) @ point for point in leg.sole], axis=0)
    stretched = sum(float(np.linalg.norm(b - a)) for a, b in zip(anchors, [*anchors[1:], sole], strict=True))
    beside = sole[1]

    def missed(angles: Array) -> Array:
        data.qpos[places] = angles
        mujoco.mj_kinematics(model, data)
        turn = data.xmat[foot].reshape(3, 3)
        points = [data.xpos[foot] + turn @ point for point in leg.sole]
        centre, hip = np.mean(points, axis=0), data.xanchor[numbers[0]]
        tilt = [point[2] - points[0][2] for point in points[1:]]
        wanted = hip[2] - bent * stretched
        return np.array([centre[0] - hip[0], centre[1] - beside, centre[2] - wanted, *tilt, *(0.02 * angles)])

    rng = np.random.default_rng(0)
    middle = np.clip(0.0, low + 0.1 * (high - low), high - 0.1 * (high - low))
    starts = [middle, *(np.clip(middle + rng.normal(0, 0.4, len(low)), low, high) for _ in range(_TRIES))]
    solved = [_least_squares(missed, start, low, high) for start in starts]
    best = min(solved, key=lambda angles: float(np.square(missed(angles)).sum()))
    data.qpos[places] = best


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
