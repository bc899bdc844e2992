"""Vertical walls under the robot's feet: columns of ground that follow each foot.

MuJoCo's height field joins its samples by slopes, so that the wall of a step is a ramp of one cell. Boxes for every
step and box of the ground would be thousands, each placed in every physics step. Instead every foot has a few columns
with the width of a cell that stand where the ground has walls near it, each as high as its cell; the field below them
is eroded, so that no ramp sticks out. A foot touches its own columns alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import mujoco
import numpy as np
from numpy.typing import NDArray

from ...tasks.robots import RobotSpec
from ...tasks.state import State
from ...tasks.terrain import RESOLUTION, Terrain

if TYPE_CHECKING:
    from .engine import Engine

_DEPTH = 1.0
"""Half height of a column [m]."""
_BOUNDS = 20.0
"""How far above and below the world's origin MuJoCo looks for a column, whose height is set after compilation [m]."""
_MARGIN = 0.02
"""How far around a foot its columns reach at least [m]: about what it moves in half a control step."""
_FOOT = 0.05
"""Reach of a foot without spheres [m]."""


@dataclass(frozen=True)
class _Block:
    """The columns of one foot."""

    foot: str
    side: int
    """Columns along x, and along y."""
    group: int
    """Bit by which the foot and its columns meet."""

    @property
    def body(self) -> str:
        """Name of the body that carries them."""
        return f"columns_{self.foot}"

    @property
    def offsets(self) -> NDArray[np.int32]:
        """Cells of the columns from the block's first one, (side^2, 2)."""
        return np.array([(x, y) for x in range(self.side) for y in range(self.side)], np.int32)


def with_columns(spec: mujoco.MjSpec, robot: RobotSpec) -> mujoco.MjModel:
    """Compile a robot's model with the columns of its feet."""
    blocks = list(_blocks(spec, robot))
    for block in blocks:
        body = spec.worldbody.add_body(name=block.body, mocap=True)
        middle = (block.side - 1) / 2
        for x, y in (block.offsets - middle) * RESOLUTION:
            body.add_geom(
                name=f"{block.body}_{len(body.geoms)}",
                type=mujoco.mjtGeom.mjGEOM_BOX,
                # Not at the body's origin: of a geom that is compiled there MuJoCo never reads the place again.
                pos=[x, y, -_DEPTH],
                size=[RESOLUTION / 2, RESOLUTION / 2, _BOUNDS],
                mass=0.0,
                contype=block.group,
                conaffinity=0,
                # The robot's geoms have priority: theirs counts.
                friction=[0.1, 0.005, 0.0001],
            )
        for geom in spec.body(block.foot).geoms:
            geom.conaffinity |= block.group
    model = spec.compile()
    columns = [number for number in range(model.ngeom) if model.body_mocapid[model.geom_bodyid[number]] >= 0]
    model.geom_size[columns, 2] = _DEPTH
    model.geom_rbound[columns] = math.hypot(RESOLUTION / 2, RESOLUTION / 2, _DEPTH)
    return model


def _blocks(spec: mujoco.MjSpec, robot: RobotSpec) -> Iterator[_Block]:
    for number, foot in enumerate(robot.contact_bodies.get("feet", ())):
        spheres = [geom for geom in spec.body(foot).geoms if int(geom.type) == int(mujoco.mjtGeom.mjGEOM_SPHERE)]
        reach = max((math.hypot(*geom.pos[:2]) + geom.size[0] for geom in spheres), default=_FOOT)
        # Half the block, less half a cell that a foot may be off its middle, reaches around the foot.
        side = math.ceil((reach + _MARGIN) / (RESOLUTION / 2) + 1.0 - 1e-9)
        yield _Block(foot, side, 1 << (number + 1))


class Walls:
    """The columns of all worlds.

    Args:
        engine: The worlds, of a model with columns.
        terrain: The ground, with walls.
    """

    def __init__(self, engine: Engine, terrain: Terrain) -> None:
        assert terrain.columns is not None
        self._terrain = terrain
        self._tops = terrain.columns.ravel()
        self._places = engine.batch.bind("mocap_pos").reshape(len(engine.qpos), -1, 3)
        self._heights = engine.batch.expand("geom_pos").reshape(len(engine.qpos), -1, 3)
        model = engine.model
        feet = engine.spec.contact_bodies["feet"]
        geoms = [np.flatnonzero(model.geom_bodyid == model.body(f"columns_{foot}").id) for foot in feet]
        self._geoms = [slice(int(found[0]), int(found[-1]) + 1) for found in geoms]
        self._sides = [math.isqrt(len(found)) for found in geoms]
        self._offsets = [_Block("", side, 0).offsets for side in self._sides]

    def place(self, state: State) -> None:
        """Put each foot's columns where it will be in the middle of the next control step."""
        if state.foot_pos_w.ndim != 3:
            return  # before the first step: episodes begin on level ground
        terrain, (first_x, first_y) = self._terrain, self._terrain.first
        across_x, across_y = terrain.heights.shape
        ahead = state.foot_pos_w[:, :, :2] + 0.5 * state.step_dt * state.foot_vel_w[:, :, :2]
        cells = (ahead - (first_x, first_y)) * (1.0 / RESOLUTION)
        for foot, (geoms, side, offsets) in enumerate(zip(self._geoms, self._sides, self._offsets, strict=True)):
            # The block's first cell: its middle is the nearest cell, or the nearest corner of cells, to the foot.
            first = np.rint(cells[:, foot] - 0.5 * side).astype(np.int32)
            row, column = (first[:, None, :] + offsets).transpose(2, 0, 1)
            np.clip(row, 0, across_x - 1, out=row)
            np.clip(column, 0, across_y - 1, out=column)
            self._heights[:, geoms, 2] = self._tops.take(row * across_y + column) - _DEPTH
            self._places[:, foot, :2] = (first + 0.5 * side) * RESOLUTION + (first_x, first_y)
