"""Pictures without OpenGL: rays cast by MuJoCo, shaded in numpy. Needs nothing that the physics does not need."""

from __future__ import annotations

from collections.abc import Callable

import mujoco
import numpy as np
from mujoco import batch
from numpy.typing import NDArray

from .camera import FIELD_OF_VIEW, Camera, Doubles
from .ground import find_ground

Floats = NDArray[np.float32]
Hits = tuple[Doubles, NDArray[np.int32], Doubles]
"""What rays meet first: distance (n,), -1 for a miss; geom (n,), -1 for a miss; surface normal (n, 3)."""
Cast = Callable[[Doubles, Doubles], Hits]
"""Casts rays ``(origins, directions)``."""

_SUN = np.array([0.36, -0.42, 0.83])
_SUN = (_SUN / np.linalg.norm(_SUN)).astype(np.float32)
"""Direction towards the light."""
_HORIZON, _ZENITH = np.array([[0.90, 0.93, 0.96], [0.42, 0.58, 0.76]], dtype=np.float32)
_FLOOR = np.array([0.42, 0.46, 0.51], dtype=np.float32)
_DARK_TILE, _SEAM = np.float32(-0.06), np.float32(0.11)
"""How much brighter than the floor every other tile and the seams are, in every channel."""
_TILE = 0.5
"""Side of a floor tile [m]."""
_SEAM_HALF = np.float32(0.012)
"""Half the width of the seam between tiles [tiles]."""
_SHADE = 0.55
"""How much of the light a shadow takes away."""
_FOG_DISTANCE = np.float32(26)
"""Distance at which the ground has faded into the horizon to about two thirds [m]."""
_SHADOW_CELLS = 176
"""Cells on a side of the shadow map, which covers the robot as the sun sees it."""
_GROUND_GROUP = 5
_SOLID_GROUPS = np.array([1, 1, 1, 1, 1, 0], dtype=np.uint8)
"""Geom groups that rays can meet: all but the ground's."""
_BAND = 16384
"""Pixels worked on together: their arrays stay in the processor's cache."""
_NEAR = 0.05
"""Closest that a geom may come to the camera [m]."""
_CUBE = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)])
"""Corners of a cube."""
_EDGE_SAMPLES = ((-0.25, -0.25), (0.25, -0.25), (-0.25, 0.25), (0.25, 0.25))
"""Where a pixel on an outline is sampled instead of its centre [pixels]."""


class RayRenderer:
    """Draws states of a model.

    Rays are only cast where something other than the ground can be seen; ground and sky need none.

    Args:
        model: The model; the groups of its ground's geoms are changed.
        width: Width of the picture [pixels].
        height: Height of the picture [pixels].
    """

    def __init__(self, model: mujoco.MjModel, width: int, height: int) -> None:
        self.model, self.width, self.height = model, width, height
        self._data = mujoco.MjData(model)
        self._colours = _geom_colours(model)
        self._ground = find_ground(model)
        self._is_solid = np.ones(model.ngeom, dtype=bool)
        if self._ground is not None:
            self._is_solid[self._ground.geoms] = False
            model.geom_group[self._ground.geoms] = _GROUND_GROUP
        # The batch takes the model as it is now.
        self._batch = batch.Batch(model, 1, nthread=1)
        boxes = model.geom_aabb[self._is_solid]
        self._corners = boxes[:, None, :3] + boxes[:, None, 3:] * _CUBE
        self._is_moving = model.body_weldid[model.geom_bodyid] != 0
        self._pixel = np.radians(FIELD_OF_VIEW) / height
        columns, rows = np.meshgrid(np.arange(width) + 0.5 - width / 2, np.arange(height) + 0.5 - height / 2)
        self._columns, self._rows = columns.ravel(), rows.ravel()
        self._view: tuple[Doubles, Floats] | None = None

    def draw(self, qpos: Doubles, camera: Camera) -> NDArray[np.uint8]:
        """Return the picture of a state, (height, width, 3)."""
        self._data.qpos[:] = qpos
        mujoco.mj_kinematics(self.model, self._data)
        self._batch.bind("qpos")[0] = qpos
        shadow = _ShadowMap(
            self._cast, self._is_moving, self._data.geom_xpos[self._is_moving], self.model.geom_rbound[self._is_moving]
        )
        image = np.empty((self.width * self.height, 3), dtype=np.uint8)
        shown = np.full(len(image), -1, dtype=np.int32)
        solid = self._may_show_solid(camera)
        directions = self._directions(camera)
        for begin in range(0, len(image), _BAND):
            band = slice(begin, begin + _BAND)
            colours, depth = self._background(camera.eye, directions[band], shadow)
            seen = np.flatnonzero(solid[band])
            if len(seen):
                rays, behind = directions[band][seen], (colours[seen], depth[seen])
                colours[seen], shown[begin + seen] = self._shade(camera.eye, rays, shadow, behind)
            image[band] = _to_bytes(colours)
        self._smooth_outlines(image, shown, camera, shadow)
        return image.reshape(self.height, self.width, 3)

    def _directions(self, camera: Camera) -> Floats:
        """Return the ray through each pixel (n, 3); a camera that only moves keeps those of the frame before."""
        if self._view is None or not np.array_equal(self._view[0], camera.offset):
            rays = camera.directions(self._columns, self._rows, self.height)
            self._view = camera.offset, rays.astype(np.float32)
        return self._view[1]

    def _cast(self, origins: Doubles, directions: Doubles) -> Hits:
        distance, geom, normal = self._batch.ray(origins, directions, geomgroup=_SOLID_GROUPS, normal=True)
        return distance[0], geom[0], normal[0]

    def _may_show_solid(self, camera: Camera) -> NDArray[np.bool_]:
        """Mask of the pixels within the bounding box of any geom that is not ground."""
        mask = np.zeros((self.height, self.width), dtype=bool)
        turned = self._data.geom_xmat[self._is_solid].reshape(-1, 1, 3, 3)
        corners = (turned @ self._corners[..., None])[..., 0] + self._data.geom_xpos[self._is_solid][:, None]
        pixels, depth = camera.project(corners.reshape(-1, 3), self.width, self.height)
        pixels, depth = pixels.reshape(-1, 8, 2), depth.reshape(-1, 8)
        size = (self.width, self.height)
        low = np.clip(np.floor(pixels.min(axis=1)) - 1, 0, size).astype(int)
        high = np.clip(np.ceil(pixels.max(axis=1)) + 1, 0, size).astype(int)
        for (left, top), (right, bottom), near, far in zip(
            low, high, depth.min(axis=1), depth.max(axis=1), strict=True
        ):
            if near > _NEAR:
                mask[top:bottom, left:right] = True
            elif far > 0:
                # A box that reaches behind the camera has no outline: it may be anywhere.
                mask[:] = True
        return mask.ravel()

    def _background(self, eye: Doubles, rays: Floats, shadow: _ShadowMap) -> tuple[Floats, Floats]:
        """Colours (n, 3) of sky and ground along rays (n, 3), and how far the ground is (n,), infinite for sky."""
        if self._ground is None:
            return _sky(rays[:, 2]), np.full(len(rays), np.inf, dtype=np.float32)
        distance, light = self._ground.meet(eye, rays, _SUN)
        met = np.isfinite(distance)
        if met.all():
            return self._floor(eye, rays, distance, light, shadow), distance
        colours = _sky(rays[:, 2])
        colours[met] = self._floor(eye, rays[met], distance[met], light[met], shadow)
        return colours, distance

    def _floor(self, eye: Doubles, rays: Floats, distance: Floats, light: Floats, shadow: _ShadowMap) -> Floats:
        """Colours (n, 3) of the ground that rays (n, 3) meet at distances (n,)."""
        points = eye.astype(np.float32) + distance[:, None] * rays
        slope = np.maximum(-rays[:, 2], np.float32(0.02))
        lit = light * (1 - np.float32(_SHADE) * shadow.darkness(points))
        clear = np.exp(-((distance / _FOG_DISTANCE) ** 2))
        seen, haze = clear * lit, 1 - clear
        tiles = _tiles(points, distance, slope, self._pixel)
        colours = np.empty((len(rays), 3), dtype=np.float32)
        for channel in range(3):
            colours[:, channel] = seen * (_FLOOR[channel] + tiles) + haze * _HORIZON[channel]
        return colours

    def _shade(
        self, eye: Doubles, rays: Floats, shadow: _ShadowMap, behind: tuple[Floats, Floats]
    ) -> tuple[Floats, NDArray[np.int32]]:
        """Colours (n, 3) along rays (n, 3), and the geom each shows, -1 for the background.

        Args:
            eye: Where the rays start.
            rays: Unit vectors.
            shadow: What hides the sun.
            behind: Colours (n, 3) and distance (n,) of the background.
        """
        distance, geom, normal = self._cast(eye, rays.astype(np.float64))
        in_front = (geom >= 0) & (distance < behind[1])
        hit = np.flatnonzero(in_front)
        rays, facing = rays[hit], normal[hit].astype(np.float32)
        points = eye.astype(np.float32) + distance[hit, None].astype(np.float32) * rays
        light = np.clip(facing @ _SUN, 0, 1) * (1 - shadow.darkness(points + np.float32(0.012) * facing))
        # Sky light from above, what the ground throws back from below, and a highlight.
        ambient = np.float32(0.42) + np.float32(0.16) * facing[:, 2]
        halfway = _SUN - rays
        cosine = np.clip(np.sum(facing * halfway, axis=1) / np.linalg.norm(halfway, axis=1), 0, 1)
        shine = np.float32(0.22) * light * cosine**24
        colours = behind[0].copy()
        colours[hit] = self._colours[geom[hit]] * (ambient + np.float32(0.62) * light)[:, None] + shine[:, None]
        return colours, np.where(in_front, geom, -1).astype(np.int32)

    def _smooth_outlines(
        self, image: NDArray[np.uint8], shown: NDArray[np.int32], camera: Camera, shadow: _ShadowMap
    ) -> None:
        """Replace the pixels where one geom ends and the next thing begins by the mean of several samples."""
        grid = shown.reshape(self.height, self.width)
        edge = np.zeros_like(grid, dtype=bool)
        across, down = grid[:, 1:] != grid[:, :-1], grid[1:] != grid[:-1]
        edge[:, 1:] |= across
        edge[:, :-1] |= across
        edge[1:] |= down
        edge[:-1] |= down
        where = np.flatnonzero(edge)
        columns = self._columns[where] + np.array(_EDGE_SAMPLES)[:, :1]
        rows = self._rows[where] + np.array(_EDGE_SAMPLES)[:, 1:]
        rays = camera.directions(columns.ravel(), rows.ravel(), self.height).astype(np.float32)
        colours, _ = self._shade(camera.eye, rays, shadow, self._background(camera.eye, rays, shadow))
        image[where] = _to_bytes(colours.reshape(len(_EDGE_SAMPLES), -1, 3).mean(axis=0))


class _ShadowMap:
    """Height of the moving geoms as the sun sees them; answers how much of the sun they hide from a point.

    Args:
        cast: Casts rays: ``(origins, directions)`` to ``(distance, geom, normal)``.
        is_moving: Whether each geom casts a shadow, (ngeom,).
        centres: Centres of those geoms' bounding spheres, (n, 3).
        radii: Their radii, (n,).
    """

    def __init__(self, cast: Cast, is_moving: NDArray[np.bool_], centres: Doubles, radii: Doubles) -> None:
        centre = centres.mean(axis=0)
        radius = float((np.linalg.norm(centres - centre, axis=1) + radii).max())
        across = np.cross(_SUN, (0.0, 0.0, 1.0))
        across /= np.linalg.norm(across)
        axes = np.stack([across, np.cross(_SUN, across), _SUN], axis=1)
        cells = (np.arange(_SHADOW_CELLS) + 0.5) * (2 / _SHADOW_CELLS) - 1
        u, v = np.meshgrid(cells, cells, indexing="ij")
        origins = centre + radius * (np.stack([u, v, np.ones_like(u)], axis=-1).reshape(-1, 3) @ axes.T)
        distance, geom, _ = cast(origins, -_SUN.astype(np.float64))
        height = np.where((geom >= 0) & is_moving[geom], radius - distance, -np.inf)
        self._height = height.reshape(_SHADOW_CELLS, _SHADOW_CELLS).astype(np.float32)
        self._centre, self._radius, self._axes = centre.astype(np.float32), np.float32(radius), axes.astype(np.float32)

    def darkness(self, points: Floats) -> Floats:
        """Share of the sun that is hidden from points (n, 3), between 0 and 1, (n,): four cells, blended."""
        u, v, height = ((points - self._centre) @ self._axes).T
        scale = np.float32(_SHADOW_CELLS / 2) / self._radius
        u, v = (u + self._radius) * scale - np.float32(0.5), (v + self._radius) * scale - np.float32(0.5)
        dark = np.zeros(len(points), dtype=np.float32)
        last = _SHADOW_CELLS - 1
        near = np.flatnonzero((u >= 0) & (v >= 0) & (u < last) & (v < last) & (height < self._radius))
        column, row = u[near].astype(np.int32), v[near].astype(np.int32)
        right, down = u[near] - column, v[near] - row
        limit = height[near] + np.float32(0.005)
        for step, weight in ((0, 1 - right), (1, right)):
            for jump, share in ((0, 1 - down), (1, down)):
                dark[near] += weight * share * (self._height[column + step, row + jump] > limit)
        return dark


def _to_bytes(colours: Floats) -> NDArray[np.uint8]:
    """Return colours of 0 to 1 as those of a picture."""
    return (np.float32(255) * np.clip(colours, 0, 1) + np.float32(0.5)).astype(np.uint8)


def _sky(up: Floats) -> Floats:
    height = np.float32(1) - (np.float32(1) - np.clip(up, 0, 1)) ** 3
    colours: Floats = _HORIZON + height[:, None] * (_ZENITH - _HORIZON)
    return colours


def _tiles(points: Floats, distance: Floats, slope: Floats, pixel: float) -> Floats:
    """How much brighter a tiled floor is, (n,), averaged over what each pixel covers, so that it does not flicker.

    Args:
        points: Where the rays meet the floor, (n, 3).
        distance: How far that is [m], (n,).
        slope: Sine of the angle between ray and floor, (n,).
        pixel: Angle that a pixel covers [rad].
    """
    width = np.maximum(np.float32(pixel / _TILE) * distance / slope, np.float32(1e-3))
    half = np.float32(0.5)
    even, seam = np.ones_like(width), np.zeros_like(width)
    for position in (points[:, 0] / np.float32(_TILE), points[:, 1] / np.float32(_TILE)):
        # A checkerboard filtered by a box, in closed form: the integral of a square wave is a triangle wave.
        low, high = (position - width / 2) / 2, (position + width / 2) / 2
        even = even * 2 * (np.abs(low - np.floor(low) - half) - np.abs(high - np.floor(high) - half)) / width
        to_seam = half - np.abs(position - np.floor(position) - half)
        seam = np.maximum(seam, np.clip((_SEAM_HALF + width / 2 - to_seam) / width, 0, 1))
    seam = seam * np.minimum(1, 2 * _SEAM_HALF / width)
    dark = _DARK_TILE * (half - half * even)
    brighter: Floats = dark + seam * (_SEAM - dark)
    return brighter


def _geom_colours(model: mujoco.MjModel) -> Floats:
    """Colour of each geom (ngeom, 3): its material's where it has one."""
    colours: Floats = model.geom_rgba[:, :3].astype(np.float32)
    with_material = np.flatnonzero(model.geom_matid >= 0)
    colours[with_material] = model.mat_rgba[model.geom_matid[with_material], :3]
    return colours
