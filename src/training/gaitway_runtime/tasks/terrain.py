"""Isaac Lab's rough terrain as one height field: ten levels of difficulty, twenty columns of six kinds.

``ROUGH_TERRAINS_CFG``: tiles of 8 m, levels along x, columns along y; a ``-Play`` task has five by five tiles of any
kind and difficulty. The ground is the same in every run (fixed seed), so that a recorded trajectory can be drawn later.
Differences from Isaac Lab: stairs and boxes are made of cells of 0.1 m, and the border is flat ground around the field.
Stairs and boxes have vertical walls where feet meet them; where none are asked for they are part of the height field
alone, and their walls are ramps of one cell.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from .arrays import Array

RESOLUTION = 0.1
"""Distance between height samples [m]; Isaac Lab's ``horizontal_scale``."""
TILE = 8.0
"""[m]."""
AROUND = 40.0
"""Width of the flat ground around the field [m]: a robot that starts in its middle walks no further in an episode."""
LEVELS, COLUMNS = 10, 20
PLAY_TILES = 5
_CELLS = round(TILE / RESOLUTION)
_BORDER = 0.25
_SEED = 0
_WALLED = ("pyramid_stairs", "pyramid_stairs_inv", "boxes")
"""Kinds of ground whose steps are vertical."""
_BURIED = -50.0
"""Height of a cell that needs no column [m]: deep in the ground."""

Heights = NDArray[np.float32]


@dataclass(frozen=True)
class Obstacles:
    """How high obstacles are whose height depends on the robot."""

    boxes: tuple[float, float] = (0.05, 0.2)
    """Greatest height of a box at the least and at the greatest difficulty [m]."""
    roughness: tuple[float, float] = (0.02, 0.1)
    """Least and greatest height of random rough ground [m]."""
    roughness_step: float = 0.02
    """Heights of random rough ground are multiples of this [m]."""


SubTerrain = Callable[[float, np.random.Generator, Obstacles], Heights]
"""Difficulty in [0, 1], a source of draws and heights in, heights of one tile out [m]; x is the first axis."""


def _distance_from_centre() -> tuple[Array, Array]:
    """Distance of each sample from the tile's centre along x and along y [m]."""
    along = np.abs((np.arange(_CELLS) + 0.5) * RESOLUTION - TILE / 2)
    return np.meshgrid(along, along, indexing="ij")


def stairs(difficulty: float, rng: np.random.Generator, obstacles: Obstacles) -> Heights:
    """A pyramid of six steps of 0.3 m and a platform of 2.4 m on top; steps of 0.05 to 0.23 m."""
    step_height = 0.05 + 0.18 * difficulty
    ring = np.maximum(*_distance_from_centre())
    steps = np.clip(np.floor((3.0 - ring) / 0.3) + 1.0, 0.0, 7.0)
    return (steps * step_height).astype(np.float32)


def stairs_down(difficulty: float, rng: np.random.Generator, obstacles: Obstacles) -> Heights:
    """The same pyramid as a pit."""
    return -stairs(difficulty, rng, obstacles)


def boxes(difficulty: float, rng: np.random.Generator, obstacles: Obstacles) -> Heights:
    """A grid of 17 by 17 boxes of 0.45 m, each up to a height that grows with difficulty, about a platform of 2 m."""
    least, greatest = obstacles.boxes
    most = least + (greatest - least) * difficulty
    cells = rng.uniform(-most, most, (17, 17))
    along = (np.arange(_CELLS) + 0.5) * RESOLUTION - (TILE - 17 * 0.45) / 2
    cell = np.floor(along / 0.45).astype(int)
    inside = (cell >= 0) & (cell < 17)
    cell = np.clip(cell, 0, 16)
    heights = np.where(np.outer(inside, inside), cells[np.ix_(cell, cell)], 0.0)
    heights[np.maximum(*_distance_from_centre()) < 1.0] = most
    return heights.astype(np.float32)


def random_rough(difficulty: float, rng: np.random.Generator, obstacles: Obstacles) -> Heights:
    """Random heights, whatever the difficulty."""
    ring = np.maximum(*_distance_from_centre())
    first, last = (round(height / obstacles.roughness_step) for height in obstacles.roughness)
    heights = obstacles.roughness_step * rng.integers(first, last + 1, (_CELLS, _CELLS))
    return np.where(ring > TILE / 2 - _BORDER, 0.0, heights).astype(np.float32)


def slope(difficulty: float, rng: np.random.Generator, obstacles: Obstacles) -> Heights:
    """A pyramid with slopes of up to 0.4 (the product of two ramps, as in Isaac Lab) and a platform of 2 m."""
    half = TILE / 2 - _BORDER
    ramp_x, ramp_y = (np.maximum(1.0 - distance / half, 0.0) for distance in _distance_from_centre())
    most = 0.4 * difficulty * half
    heights = most * ramp_x * ramp_y
    platform = most * (1.0 - 1.0 / half) ** 2
    return np.minimum(heights, platform).astype(np.float32)


def slope_down(difficulty: float, rng: np.random.Generator, obstacles: Obstacles) -> Heights:
    """The same pyramid as a pit."""
    return -slope(difficulty, rng, obstacles)


OBSTACLES = Obstacles()

KINDS: tuple[tuple[str, SubTerrain, int], ...] = (
    ("pyramid_stairs", stairs, 4),
    ("pyramid_stairs_inv", stairs_down, 4),
    ("boxes", boxes, 4),
    ("random_rough", random_rough, 4),
    ("hf_pyramid_slope", slope, 2),
    ("hf_pyramid_slope_inv", slope_down, 2),
)
"""Kinds of sub-terrain with the number of columns that each has, in the columns' order."""

KIND_NAMES = tuple(name for name, *_ in KINDS)


@dataclass(frozen=True, kw_only=True)
class RoughTerrain:
    """Isaac Lab's rough terrain and its ``terrain_levels_vel`` curriculum."""

    levels: tuple[int, int] = (0, 5)
    """Least and greatest level of an evaluation's episodes, drawn anew for each, and of the first ones in training,
    where robots that walk far climb from there. Isaac Lab's ``max_init_terrain_level`` is 5."""
    flat_steps: int = 0
    """Environment steps, over all worlds, for which training starts its episodes on the flat ground around the field:
    on rough ground a robot takes much longer to find out how to walk."""
    easy_start: bool = False
    """Whether all robots in training begin on the least of these levels and climb from there: one that meets obstacles
    which it cannot pass yet learns to stand still before them."""
    obstacles: Obstacles = OBSTACLES
    """Heights of boxes and rough ground."""
    walls: bool = True
    """Whether stairs and boxes have vertical walls, as Isaac Lab's, in place of ramps of one cell."""
    kind: str | None = None
    """The only kind of ground, one of :data:`KIND_NAMES`; None: all of them, in Isaac Lab's proportions."""


@dataclass(frozen=True)
class Terrain:
    """The ground: heights on a regular grid, and where episodes start."""

    heights: Heights
    """[m], samples along x and y, in the middle of their cells."""
    origins: Array
    """Where each tile starts its episodes [m], (rows, columns, 3); rows lie along x."""
    kinds: NDArray[np.int64]
    """Kind of each tile as an index into :data:`KINDS`, (rows, columns)."""
    levels: NDArray[np.int64]
    """Difficulty of each tile, 0 to 9, (rows, columns)."""
    centre: tuple[float, float] = (0.0, 0.0)
    """Middle of the field [m]."""
    field: Heights | None = None
    """Heights of the height field where there are walls: lowered beside them, so that no ramp sticks out."""
    columns: Heights | None = None
    """Heights of the cells that stand as columns, for the walls to be vertical; deep in the ground where none is
    needed. None: walls are ramps of one cell."""

    @property
    def bounds(self) -> tuple[float, float]:
        """Lowest and highest ground [m]."""
        return float(self.heights.min()), float(self.heights.max())

    @property
    def half_size(self) -> tuple[float, float]:
        """Half the extent between the outermost samples along x and y [m]."""
        across_x, across_y = self.heights.shape
        return (across_x - 1) * RESOLUTION / 2, (across_y - 1) * RESOLUTION / 2

    def tiles(self, kind: str | None, levels: tuple[int, int]) -> NDArray[np.bool_]:
        """Return which tiles are of a kind (None: any) and between two levels, both included, (rows, columns)."""
        found = (self.levels >= levels[0]) & (self.levels <= levels[1])
        return found if kind is None else found & (self.kinds == KIND_NAMES.index(kind))

    def height_at(self, x: NDArray[np.floating], y: NDArray[np.floating]) -> Heights:
        """Return the ground's height at points [m], that of the nearest sample; 0 beyond the field, any shape."""
        first_x, first_y = self.first
        return self._height_of((x - first_x) * (1.0 / RESOLUTION), (y - first_y) * (1.0 / RESOLUTION))

    def height_around(self, x: Array, y: Array, heading: Array, grid: NDArray[np.float32]) -> Heights:
        """Return the ground's height on a grid about each of n positions, turned by its heading [m], (n, points).

        Args:
            x: [m], (n,).
            y: [m], (n,).
            heading: [rad], (n,).
            grid: Points x, y [m] and 1 of the grid, (3, points): turning and shifting is one product then.
        """
        first_x, first_y = self.first
        cos, sin = np.cos(heading), np.sin(heading)
        turn = np.array([[cos, -sin, x - first_x], [sin, cos, y - first_y]]) * (1.0 / RESOLUTION)
        cells = turn.transpose(0, 2, 1).astype(np.float32) @ grid
        return self._height_of(cells[0], cells[1])

    @property
    def first(self) -> tuple[float, float]:
        """Lower corner of the first sample's cell [m]: whole cells from there find the nearest sample."""
        across_x, across_y = self.heights.shape
        return self.centre[0] - 0.5 * across_x * RESOLUTION, self.centre[1] - 0.5 * across_y * RESOLUTION

    def _height_of(self, cell_x: NDArray[np.floating], cell_y: NDArray[np.floating]) -> Heights:
        across_x, across_y = self.heights.shape
        row, column = cell_x.astype(np.int32), cell_y.astype(np.int32)
        np.clip(row, 0, across_x - 1, out=row)
        np.clip(column, 0, across_y - 1, out=column)
        row *= across_y
        row += column
        found: Heights = self.heights.ravel().take(row)
        return found

    def around(self, positions: Array, margin: float) -> Terrain:
        """Return the ground within a margin [m] of positions, (k, 2): pictures cost by its size."""
        cuts, centre = [], []
        for axis, count in enumerate(self.heights.shape):
            low = (positions[:, axis].min() - margin - self.centre[axis]) / RESOLUTION + 0.5 * count
            high = (positions[:, axis].max() + margin - self.centre[axis]) / RESOLUTION + 0.5 * count
            first = min(max(int(low), 0), count - 2)
            last = max(min(int(high), count), first + 2)
            cuts.append(slice(first, last))
            centre.append(self.centre[axis] + (0.5 * (first + last) - 0.5 * count) * RESOLUTION)
        part = (cuts[0], cuts[1])
        return replace(
            self,
            heights=self.heights[part],
            centre=(centre[0], centre[1]),
            field=None if self.field is None else self.field[part],
            columns=None if self.columns is None else self.columns[part],
        )


@lru_cache(maxsize=8)
def rough_terrain(*, play: bool = False, obstacles: Obstacles = OBSTACLES, walls: bool = False) -> Terrain:
    """Return Isaac Lab's rough terrain, or that of its ``-Play`` task; always the same.

    Args:
        play: Whether for a ``-Play`` task.
        obstacles: Heights of boxes and rough ground.
        walls: Whether stairs and boxes have vertical walls.
    """
    if walls:
        return _walled(rough_terrain(play=play, obstacles=obstacles))
    rng = np.random.default_rng(_SEED)
    if play:
        shares = np.array([columns for *_, columns in KINDS]) / COLUMNS
        kinds = rng.choice(len(KINDS), (PLAY_TILES, PLAY_TILES), p=shares)
        return _tiled(kinds, rng.random(kinds.shape), rng, obstacles)
    kinds = np.tile(np.repeat(np.arange(len(KINDS)), [columns for *_, columns in KINDS]), (LEVELS, 1))
    difficulties = (np.arange(LEVELS)[:, None] + rng.random(kinds.shape)) / LEVELS
    return _tiled(kinds, difficulties, rng, obstacles)


def _tiled(kinds: NDArray[np.int64], difficulties: Array, rng: np.random.Generator, obstacles: Obstacles) -> Terrain:
    """Lay tiles of the given kinds and difficulties, (rows, columns), side by side."""
    heights = np.zeros((kinds.shape[0] * _CELLS, kinds.shape[1] * _CELLS), np.float32)
    origins = np.zeros((*kinds.shape, 3))
    for row, column in np.ndindex(kinds.shape):
        tile = KINDS[kinds[row, column]][1](float(difficulties[row, column]), rng, obstacles)
        along_x, along_y = (slice(k * _CELLS, (k + 1) * _CELLS) for k in (row, column))
        heights[along_x, along_y] = tile
        centre = (np.array([row, column]) + 0.5) * TILE - np.array(kinds.shape) * TILE / 2
        origins[row, column] = (*centre, _start_height(tile))
    return Terrain(heights, origins, kinds, (difficulties * LEVELS).astype(np.int64))


def _walled(terrain: Terrain) -> Terrain:
    """Return ground whose stairs and boxes stand as columns."""
    kinds = np.isin(terrain.kinds, [KIND_NAMES.index(name) for name in _WALLED])
    there = np.repeat(np.repeat(kinds, _CELLS, axis=0), _CELLS, axis=1)
    heights = terrain.heights
    field = np.where(there, _lowest_within(heights, 1), heights)
    # A cell whose neighbours' field is as high as itself lies level in the field.
    needed = there & (_lowest_within(heights, 2) < heights)
    return replace(terrain, field=field, columns=np.where(needed, heights, np.float32(_BURIED)))


def _lowest_within(heights: Heights, cells: int) -> Heights:
    """Return the lowest height around each sample, up to so many samples away along each axis."""
    for axis in (0, 1):
        around = np.pad(heights, [(cells, cells) if k == axis else (0, 0) for k in (0, 1)], mode="edge")
        heights = np.lib.stride_tricks.sliding_window_view(around, 2 * cells + 1, axis).min(axis=-1)
    return heights


def _start_height(tile: Heights) -> float:
    """Highest ground within 1 m of the tile's centre [m]: where Isaac Lab puts the origin."""
    near = round(1.0 / RESOLUTION)
    middle = slice(_CELLS // 2 - near, _CELLS // 2 + near)
    return float(tile[middle, middle].max())
