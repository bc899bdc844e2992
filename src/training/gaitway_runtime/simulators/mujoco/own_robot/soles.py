"""Soles of feet: where small spheres stand for what touches the ground."""

from __future__ import annotations

import mujoco
import numpy as np

from ....tasks.arrays import Array
from .shapes import lowest, world_points

SOLE_RADIUS = 0.015
"""Radius of the spheres that stand for a sole [m]."""
_UNDERSIDE = 0.015
"""Height over the lowest point up to which a point is part of a sole [m]."""
_SMALL = 0.06
"""Size below which a sole is one point [m]."""
_TILTS = np.array([0.0, *(sign * angle for angle in np.arange(0.1, 0.75, 0.1) for sign in (1, -1))])
"""Angles about the lateral axis by which a foot may be off level as it is looked at [rad]; the small ones first."""
_FLATTER = 1.5
"""How much larger a sole has to be to make a foot that is level as it is looked at a tilted one."""


def sole_of(model: mujoco.MjModel, data: mujoco.MjData, body: int, *, level: bool = True) -> tuple[Array, ...]:
    """Return centres of spheres at the corners of a foot's underside, in its frame [m]; one for a small foot.

    Args:
        model: The robot.
        data: The robot as it is looked at.
        body: The foot.
        level: Whether the foot is level; else its underside is the largest that it has near the one that is below.
    """
    origin, turn = data.xpos[body], data.xmat[body].reshape(3, 3)
    points = world_points(model, data, body) - origin
    ground = lowest(model, data, body) - float(origin[2])
    best = (points, ground, np.eye(3))
    if not level:
        area = _area(points, ground)
        for angle in _TILTS[1:]:
            tilted = np.array([[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]])
            turned = points @ tilted.T
            lowered = float(turned[:, 2].min())
            larger = _area(turned, lowered)
            if larger > _FLATTER * area:
                area, best = larger, (turned, lowered, tilted)
    points, ground, tilted = best
    low = points[points[:, 2] < ground + _UNDERSIDE, :2]
    (x0, y0), (x1, y1) = low.min(axis=0), low.max(axis=0)
    corners = [(x0, y0), (x0, y1), (x1, y0), (x1, y1)]
    if max(x1 - x0, y1 - y0) < _SMALL:
        corners = [tuple(low.mean(axis=0))]
    return tuple(np.array((x, y, ground + SOLE_RADIUS)) @ tilted @ turn for x, y in corners)


def _area(points: Array, ground: float) -> float:
    """Return the area of the box around the points of an underside [m^2], at least that of a small foot."""
    x, y = np.ptp(points[points[:, 2] < ground + _UNDERSIDE, :2], axis=0)
    return max(float(x * y), 0.25 * _SMALL**2)
