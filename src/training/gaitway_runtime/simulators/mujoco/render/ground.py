"""The ground of a picture: where rays meet it and how it stands to the light, in closed form or by marching.

MuJoCo's own rays test a height field cell by cell, which for a large one takes seconds a picture; here it is an array.
"""

from __future__ import annotations

from typing import Protocol

import mujoco
import numpy as np
from numpy.typing import NDArray

from .camera import Doubles

Floats = NDArray[np.float32]

_LARGE = 10.0
"""Static geoms of at least this radius are ground, not things that stand on it [m]."""
_FARTHEST = np.float32(45)
"""Terrain beyond is lost in the haze [m]."""
_NEAREST = np.float32(0.5)
"""Where marching begins at the earliest [m]."""
_MIDDLE = np.array([1.5, 1.5, 0], dtype=np.float32)
"""From a corner to the number of its first cell: a border of one comes first, cells reach half a cell around."""
_STEPS, _REFINEMENTS = 36, 6
"""Steps along a ray, each longer than the one before by the same factor, and halvings of the one that went below."""


class Ground(Protocol):
    """What lies under everything."""

    geoms: NDArray[np.intp]
    """Geoms that are ground: rays to find other things leave them out."""

    def height(self, x: Doubles, y: Doubles) -> Doubles:
        """Return the height of the ground [m] at points of the plane, any shape."""
        ...

    def meet(self, eye: Doubles, rays: Floats, sun: Floats) -> tuple[Floats, Floats]:
        """Return where rays meet the ground and how much light falls there.

        Args:
            eye: Where the rays start, (3,).
            rays: Unit vectors, (n, 3).
            sun: Unit vector towards the light, (3,).

        Returns:
            Distances [m], (n,), infinite for rays that miss; brightness relative to level ground, (n,).
        """
        ...


def find_ground(model: mujoco.MjModel) -> Ground | None:
    """Return a model's ground, or None for one that has none."""
    static = np.flatnonzero(model.geom_bodyid == 0)
    kinds = model.geom_type[static]
    planes = static[kinds == mujoco.mjtGeom.mjGEOM_PLANE]
    slabs = static[(kinds == mujoco.mjtGeom.mjGEOM_BOX) & (model.geom_rbound[static] > _LARGE)]
    fields = static[kinds == mujoco.mjtGeom.mjGEOM_HFIELD]
    levels = [*model.geom_pos[planes, 2], *(model.geom_pos[slabs, 2] + model.geom_size[slabs, 2])]
    geoms = np.concatenate([planes, slabs, fields])
    if len(fields):
        return DrawnTerrain(model, int(fields[0]), float(max(levels, default=model.geom_pos[fields[0], 2])), geoms)
    return FlatGround(float(max(levels)), geoms) if levels else None


class FlatGround:
    """A level floor without end.

    Args:
        level: Its height [m].
        geoms: Geoms that it stands for.
    """

    def __init__(self, level: float, geoms: NDArray[np.intp]) -> None:
        self.geoms = geoms
        self._level = level

    def height(self, x: Doubles, y: Doubles) -> Doubles:
        """See :meth:`Ground.height`."""
        return np.full(np.broadcast(x, y).shape, self._level)

    def meet(self, eye: Doubles, rays: Floats, sun: Floats) -> tuple[Floats, Floats]:
        """See :meth:`Ground.meet`."""
        down = np.minimum(rays[:, 2], np.float32(-1e-9))
        distance = np.float32(self._level - eye[2]) / down
        return np.where(rays[:, 2] < -1e-3, distance, np.float32(np.inf)), np.ones(len(rays), dtype=np.float32)


class DrawnTerrain:
    """A height field, and level ground around it.

    Args:
        model: The model.
        geom: The height field's geom.
        level: Height of the ground around it [m].
        geoms: Geoms that are ground.
    """

    def __init__(self, model: mujoco.MjModel, geom: int, level: float, geoms: NDArray[np.intp]) -> None:
        self.geoms = geoms
        field = model.geom_dataid[geom]
        rows, columns = int(model.hfield_nrow[field]), int(model.hfield_ncol[field])
        radius_x, radius_y, top, _ = model.hfield_size[field]
        start = model.hfield_adr[field]
        data = model.hfield_data[start : start + rows * columns].reshape(rows, columns)
        # A border of one cell at the surrounding level makes every point outside clamp to it.
        self._heights = np.pad(data * top + model.geom_pos[geom, 2], 1, constant_values=level).astype(np.float32)
        self._scale = np.array([(columns - 1) / (2 * radius_x), (rows - 1) / (2 * radius_y), 1], dtype=np.float32)
        """Cells per metre, and the height as it is."""
        self._corner = np.array([*(model.geom_pos[geom, :2] - (radius_x, radius_y)), 0], dtype=np.float32)
        along_y, along_x = np.gradient(self._heights)
        slopes = np.stack([along_x * self._scale[0], along_y * self._scale[1]], axis=-1)
        self._slopes = slopes.reshape(-1, 2).astype(np.float32)
        self._low, self._high = np.float32(self._heights.min()), np.float32(self._heights.max())

    def height(self, x: Doubles, y: Doubles) -> Doubles:
        """See :meth:`Ground.height`."""
        points = np.stack([x, y, np.zeros_like(x)], axis=-1).astype(np.float32)
        return self._heights.ravel()[self._cell(self._in_cells(points))].astype(np.float64)

    def meet(self, eye: Doubles, rays: Floats, sun: Floats) -> tuple[Floats, Floats]:
        """See :meth:`Ground.meet`."""
        start, slants = self._in_cells(eye.astype(np.float32)), rays * self._scale
        near, far = self._reach(start[2], rays[:, 2])
        distance = np.full(len(rays), np.inf, dtype=np.float32)
        active = np.flatnonzero(far > near)
        above, slant = near[active], slants[active]
        growth = (far[active] / above) ** np.float32(1 / _STEPS)
        for _ in range(_STEPS):
            below = above * growth
            hit = self._is_under(start, slant, below)
            if hit.any():
                distance[active[hit]] = self._refine(start, slant[hit], above[hit], below[hit])
                going = ~hit
                active, slant, growth, below = active[going], slant[going], growth[going], below[going]
            above = below
        return distance, self._light(start, slants, distance, sun)

    def _in_cells(self, points: Floats) -> Floats:
        """Return points with their place in the field counted in cells, the height still in metres."""
        return (points - self._corner) * self._scale + _MIDDLE

    def _reach(self, height: np.float32, climb: Floats) -> tuple[Floats, Floats]:
        """Return where rays enter and leave the layer in which there is terrain, (n,) each."""
        steep = np.where(np.abs(climb) < 1e-4, np.float32(-1e-4), climb)
        ends = np.stack([(self._high - height) / steep, (self._low - height) / steep])
        return np.maximum(ends.min(axis=0), _NEAREST), np.minimum(ends.max(axis=0) + np.float32(0.01), _FARTHEST)

    def _is_under(self, start: Floats, slants: Floats, distance: Floats) -> NDArray[np.bool_]:
        points = start + distance[:, None] * slants
        under: NDArray[np.bool_] = points[:, 2] < self._heights.ravel()[self._cell(points)]
        return under

    def _refine(self, start: Floats, slants: Floats, above: Floats, below: Floats) -> Floats:
        """Halve the way between a point above and a point below the ground a few times."""
        for _ in range(_REFINEMENTS):
            middle = (above + below) * np.float32(0.5)
            under = self._is_under(start, slants, middle)
            below, above = np.where(under, middle, below), np.where(under, above, middle)
        return below

    def _light(self, start: Floats, slants: Floats, distance: Floats, sun: Floats) -> Floats:
        light = np.ones(len(slants), dtype=np.float32)
        hit = np.flatnonzero(np.isfinite(distance))
        slope = self._slopes[self._cell(start + distance[hit, None] * slants[hit])]
        facing = (sun[2] - slope @ sun[:2]) / np.sqrt(1 + np.sum(slope**2, axis=1))
        light[hit] = np.float32(0.45) + np.float32(0.55) * np.maximum(facing, 0) / sun[2]
        return light

    def _cell(self, points: Floats) -> NDArray[np.int32]:
        """Return the number of the nearest cell, the border's for points outside."""
        rows, columns = self._heights.shape
        column = np.clip(points[..., 0], 0, columns - 1).astype(np.int32)
        cell: NDArray[np.int32] = column + columns * np.clip(points[..., 1], 0, rows - 1).astype(np.int32)
        return cell
