"""Cameras: their placement, and the projection of points onto the picture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import mujoco
import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]
Height = Callable[[Doubles, Doubles], Doubles]
"""Height of the ground [m] at points of the plane, any shape."""

FIELD_OF_VIEW = 45.0
"""Vertical opening angle [degrees], MuJoCo's own default."""

_AZIMUTH = np.radians(-52.0)
_ELEVATIONS = np.radians((22.0, 30.0, 40.0, 52.0, 65.0))
"""Direction from the robot to a camera that follows it: in front, to its right, as low as the ground lets it see."""
_CLEARANCE = 0.15
"""Least distance of the line of sight above the ground [m]."""
_JUMP = 0.5
"""A robot that moves further than this between two frames was reset [m]; the camera then cuts."""
_SMOOTHING_S = 0.6
"""Time over which a camera that follows evens out the robot's own shaking [s]."""


@dataclass(frozen=True)
class Camera:
    """A camera that looks at a point, upright, in world coordinates [m]."""

    target: Doubles
    offset: Doubles
    """From the target to the camera."""

    @property
    def eye(self) -> Doubles:
        """Where the camera is."""
        return self.target + self.offset

    def axes(self) -> tuple[Doubles, Doubles, Doubles]:
        """Return the unit vectors that point forward, right and up in the picture."""
        forward = -self.offset / np.linalg.norm(self.offset)
        right = np.cross(forward, (0.0, 0.0, 1.0))
        right /= np.linalg.norm(right)
        return forward, right, np.cross(right, forward)

    def directions(self, columns: Doubles, rows: Doubles, height: int) -> Doubles:
        """Return the unit vectors through positions of a picture of ``height`` pixels, (..., 3).

        Args:
            columns: Pixels right of the picture's centre, any shape.
            rows: Pixels below the picture's centre, same shape.
            height: Height of the picture [pixels].
        """
        forward, right, up = self.axes()
        scale = np.tan(np.radians(FIELD_OF_VIEW) / 2) / (height / 2)
        rays = forward + scale * (columns[..., None] * right - rows[..., None] * up)
        unit: Doubles = rays / np.linalg.norm(rays, axis=-1, keepdims=True)
        return unit

    def project(self, points: Doubles, width: int, height: int) -> tuple[Doubles, Doubles]:
        """Return the pixels (n, 2) that points (n, 3) fall on, and their distance along the view [m], (n,)."""
        forward, right, up = self.axes()
        offset = points - self.eye
        depth = offset @ forward
        scale = (height / 2) / np.tan(np.radians(FIELD_OF_VIEW) / 2) / np.maximum(depth, 1e-6)
        return np.stack([width / 2 + scale * (offset @ right), height / 2 - scale * (offset @ up)], axis=-1), depth


def plan_cameras(
    model: mujoco.MjModel,
    snapshots: Doubles,
    step_dt: float,
    height: Callable[[Doubles, Doubles], Doubles] | None = None,
) -> list[Camera]:
    """Return a camera for each recorded state: one that follows a robot that roams, a still one otherwise.

    Args:
        model: The model.
        snapshots: The states, (T, nq).
        step_dt: Time between two of them [s].
        height: Tells the ground's height; None where it never hides the robot.
    """
    if model.njnt and model.jnt_type[0] == mujoco.mjtJoint.mjJNT_FREE:
        return _following(model, snapshots, step_dt, height)
    return [_still(model, snapshots)] * len(snapshots)


def _following(model: mujoco.MjModel, snapshots: Doubles, step_dt: float, height: Height | None) -> list[Camera]:
    start = model.jnt_qposadr[0]
    path = snapshots[:, start : start + 3]
    cuts = 1 + np.flatnonzero(np.linalg.norm(np.diff(path, axis=0), axis=1) > _JUMP)
    window = max(1, round(_SMOOTHING_S / step_dt))
    targets = np.concatenate([_moving_average(part, window) for part in np.split(path, cuts)])
    targets -= np.array([0.0, 0.0, 0.05])
    directions = [
        np.array([np.cos(up) * np.cos(_AZIMUTH), np.cos(up) * np.sin(_AZIMUTH), np.sin(up)]) for up in _ELEVATIONS
    ]
    offsets = [3.2 * _reach(model) * direction for direction in directions]
    free = (offset for offset in offsets if height is None or _sees(targets, offset, height))
    offset = next(free, offsets[-1])
    return [Camera(target, offset) for target in targets]


def _sees(targets: Doubles, offset: Doubles, height: Height) -> bool:
    """Whether nothing of the ground comes between targets (T, 3) and a camera at an offset from each."""
    along = np.linspace(0.3, 1.0, 15)[:, None, None]
    points = targets + along * offset
    return bool((points[..., 2] > height(points[..., 0], points[..., 1]) + _CLEARANCE).all())


def _still(model: mujoco.MjModel, snapshots: Doubles) -> Camera:
    """Frame everything that the moving parts reach, seen across the first joint's way."""
    data = mujoco.MjData(model)
    moving = np.flatnonzero(model.body_weldid[model.geom_bodyid] != 0)
    centres = []
    for state in snapshots[:: max(1, len(snapshots) // 50)]:
        data.qpos[:] = state
        mujoco.mj_kinematics(model, data)
        centres.append(data.geom_xpos[moving].copy())
    reach = model.geom_rbound[moving].max()
    low, high = np.concatenate(centres).min(axis=0) - reach, np.concatenate(centres).max(axis=0) + reach
    across = np.cross(model.jnt_axis[0], (0.0, 0.0, 1.0)) if model.njnt else np.zeros(3)
    if np.linalg.norm(across) < 0.5:
        across = np.array([0.0, -1.0, 0.0])
    distance = 0.58 * np.linalg.norm(high - low) / np.tan(np.radians(FIELD_OF_VIEW) / 2)
    return Camera((low + high) / 2, distance * (across + np.array([0.0, 0.0, 0.12])))


def _reach(model: mujoco.MjModel) -> float:
    """Radius of the robot around its root in the model's first pose [m]."""
    data = mujoco.MjData(model)
    mujoco.mj_kinematics(model, data)
    body = model.jnt_bodyid[0]
    mine = model.body_rootid[model.geom_bodyid] == model.body_rootid[body]
    return float((np.linalg.norm(data.geom_xpos[mine] - data.xpos[body], axis=1) + model.geom_rbound[mine]).max())


def _moving_average(path: Doubles, window: int) -> Doubles:
    """Average each row of (n, 3) with its neighbours in a centred window that shrinks at the ends."""
    half = min(window, len(path)) // 2
    sums = np.concatenate([np.zeros((1, path.shape[1])), np.cumsum(path, axis=0)])
    index = np.arange(len(path))
    first, last = np.maximum(index - half, 0), np.minimum(index + half + 1, len(path))
    average: Doubles = (sums[last] - sums[first]) / (last - first)[:, None]
    return average
