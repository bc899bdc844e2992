"""Models: the MJCF of a robot on its ground, compiled."""

from __future__ import annotations

import mujoco
import numpy as np
from numpy.typing import NDArray

from ...tasks.environment import EnvCfg, find_environment
from ...tasks.robots import ROBOTS
from ...tasks.scene import document, on_terrain
from ...tasks.terrain import Terrain, rough_terrain
from .walls import with_columns

_SEEN = 6.0
"""How much of the ground around a robot a picture shows [m]."""


def mjcf(robot: str, *, timestep: float, visual: bool = False, terrain: Terrain | None = None) -> str:
    """Return a robot's MJCF.

    Args:
        robot: Its name.
        timestep: Length of a physics step [s].
        visual: Whether to add geoms that are only seen. They have no mass and touch nothing, but cost time.
        terrain: Rough ground; flat ground when omitted. The heights themselves are not part of the text.
    """
    scene = ROBOTS.get(robot).scene(visual)
    return document(on_terrain(scene, terrain) if terrain else scene, timestep)


def compile_robot(
    robot: str, *, timestep: float, visual: bool = False, terrain: Terrain | None = None
) -> mujoco.MjModel:
    """Compile a robot on its ground; arguments as for :func:`mjcf`.

    Ground with vertical walls has columns under the robot's feet, which :class:`~.walls.Walls` moves; a picture shows
    its height field alone.
    """
    text = mjcf(robot, timestep=timestep, visual=visual, terrain=terrain)
    if terrain is None:
        return mujoco.MjModel.from_xml_string(text)
    walled = terrain.columns is not None and not visual
    model = with_columns(mujoco.MjSpec.from_string(text), ROBOTS.get(robot)) if walled else None
    model = model or mujoco.MjModel.from_xml_string(text)
    low, high = terrain.bounds
    heights = terrain.field if walled and terrain.field is not None else terrain.heights
    model.hfield_data[:] = ((heights.T - low) / (high - low)).ravel()
    return model


def terrain_of(task: EnvCfg) -> Terrain | None:
    """Return the ground of a task, None where it is flat."""
    ground = task.terrain
    return rough_terrain(play=task.play, obstacles=ground.obstacles, walls=ground.walls) if ground else None


def build_model(
    task: str,
    *,
    timestep: float | None = None,
    visual: bool = True,
    around: NDArray[np.float64] | None = None,
) -> mujoco.MjModel:
    """Return the model of a task, by default with everything that a picture wants.

    Its ``qpos`` is laid out as :meth:`Env.snapshot` gives it, whether ``visual`` or not.

    Args:
        task: A task of the embedded simulator, by any of its names.
        timestep: Length of a physics step [s]; the task's own when omitted.
        visual: Whether to add geoms that are only seen.
        around: Positions in the ground plane [m], (k, 2): rough ground is cut down to what is near them, because the
            whole of it takes seconds to draw.

    Raises:
        UsageError: The embedded simulator has no such task.
    """
    found = find_environment(task)
    terrain = terrain_of(found)
    if terrain and around is not None:
        terrain = terrain.around(around, margin=_SEEN)
    return compile_robot(found.robot, timestep=timestep or found.physics_dt, visual=visual, terrain=terrain)
