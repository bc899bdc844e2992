"""Shapes that a body touches with: points on their hulls, and how far down they reach."""

from __future__ import annotations

import mujoco
import numpy as np
from numpy.typing import NDArray

from ....tasks.arrays import Array

_ROUND = (int(mujoco.mjtGeom.mjGEOM_SPHERE), int(mujoco.mjtGeom.mjGEOM_CAPSULE))
"""Shapes whose lowest point is no corner of their box."""


def _touching(model: mujoco.MjModel, body: int) -> list[int]:
    """Return the geoms of a body, and of those welded to it, that touch something; all of them where none does."""
    geoms = [int(g) for g in np.flatnonzero(model.body_weldid[model.geom_bodyid] == body)]
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
    found = []
    for geom in _touching(model, body):
        turn, middle = data.geom_xmat[geom].reshape(3, 3), data.geom_xpos[geom]
        found.append(points_of(model, geom) @ turn.T + middle)
        if int(model.geom_type[geom]) in _ROUND:
            along = turn[:, 2] * (model.geom_size[geom][1] if int(model.geom_type[geom]) == _ROUND[1] else 0.0)
            found.append(np.array((middle - along, middle + along)) - (0.0, 0.0, model.geom_size[geom][0]))
    return np.vstack(found) if found else data.xpos[body][None].copy()


def lowest(model: mujoco.MjModel, data: mujoco.MjData, body: int) -> float:
    """Return the height of the lowest point of what a body touches with [m]; of its origin where it has none."""
    return min((_lowest_of(model, data, geom) for geom in _touching(model, body)), default=float(data.xpos[body][2]))


def _lowest_of(model: mujoco.MjModel, data: mujoco.MjData, geom: int) -> float:
    kind, size = int(model.geom_type[geom]), model.geom_size[geom]
    down = data.geom_xmat[geom].reshape(3, 3)[2]
    middle = float(data.geom_xpos[geom][2])
    if kind == int(mujoco.mjtGeom.mjGEOM_SPHERE):
        return middle - float(size[0])
    if kind == int(mujoco.mjtGeom.mjGEOM_CAPSULE):
        return middle - float(size[0] + abs(down[2]) * size[1])
    if kind == int(mujoco.mjtGeom.mjGEOM_CYLINDER):
        return middle - float(size[0] * np.hypot(down[0], down[1]) + abs(down[2]) * size[1])
    if kind == int(mujoco.mjtGeom.mjGEOM_ELLIPSOID):
        return middle - float(np.linalg.norm(down * size))
    return middle + float((points_of(model, geom) @ down).min())


def hull(points: NDArray[np.float64]) -> tuple[Array, Array]:
    """Return centre and half sizes of the box around points."""
    low, high = points.min(axis=0), points.max(axis=0)
    return (low + high) / 2, (high - low) / 2
