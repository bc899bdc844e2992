"""The robots: MJCF generated from named published dimensions, in primitive geoms; no mesh, no downloaded file."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import mujoco
import numpy as np
from numpy.typing import NDArray

from ..terrain import Terrain, rough_terrain
from . import ant, anymal_c, cartpole
from .robot import RobotSpec, contact_sensor
from .scene import GROUND, Scene, document, on_terrain

if TYPE_CHECKING:
    from ..tasks.cfg import Task

__all__ = [
    "GROUND",
    "ROBOTS",
    "RobotSpec",
    "build_model",
    "compile_robot",
    "contact_sensor",
    "mjcf",
    "robot_spec",
    "terrain_of",
]

ROBOTS: dict[str, tuple[RobotSpec, Callable[[bool], Scene]]] = {
    module.SPEC.name: (module.SPEC, module.scene) for module in (cartpole, ant, anymal_c)
}
"""Robots by name: what is known of each, and the function that generates its scene."""


_SEEN = 6.0
"""How much of the ground around a robot a picture shows [m]."""


def robot_spec(robot: str) -> RobotSpec:
    """Return what is known of a robot beside its model."""
    return ROBOTS[robot][0]


def mjcf(robot: str, *, timestep: float, visual: bool = False, terrain: Terrain | None = None) -> str:
    """Return a robot's MJCF.

    Args:
        robot: A name in :data:`ROBOTS`.
        timestep: Length of a physics step [s].
        visual: Whether to add geoms that are only seen. They have no mass and touch nothing, but cost time.
        terrain: Rough ground; flat ground when omitted. The heights themselves are not part of the text.
    """
    scene = ROBOTS[robot][1](visual)
    return document(on_terrain(scene, terrain) if terrain else scene, timestep)


def compile_robot(
    robot: str, *, timestep: float, visual: bool = False, terrain: Terrain | None = None
) -> mujoco.MjModel:
    """Compile a robot on its ground; arguments as for :func:`mjcf`."""
    model = mujoco.MjModel.from_xml_string(mjcf(robot, timestep=timestep, visual=visual, terrain=terrain))
    if terrain:
        low, high = terrain.bounds
        model.hfield_data[:] = ((terrain.heights.T - low) / (high - low)).ravel()
    return model


def terrain_of(task: Task) -> Terrain | None:
    """Return the ground of a task, None where it is flat."""
    return rough_terrain(play=task.play) if task.terrain else None


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
    from ..tasks import find_task

    found = find_task(task)
    terrain = terrain_of(found)
    if terrain and around is not None:
        terrain = terrain.around(around, margin=_SEEN)
    return compile_robot(found.robot, timestep=timestep or found.physics_dt, visual=visual, terrain=terrain)
