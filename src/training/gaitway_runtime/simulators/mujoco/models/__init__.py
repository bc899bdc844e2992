"""The robots: MJCF generated from named published dimensions, in primitive geoms; no mesh, no downloaded file."""

from __future__ import annotations

from collections.abc import Callable

import mujoco

from . import ant, anymal_c, cartpole
from .robot import RobotSpec, contact_sensor
from .scene import GROUND, Scene, document

__all__ = ["GROUND", "ROBOTS", "RobotSpec", "build_model", "compile_scene", "contact_sensor", "mjcf", "robot_spec"]

ROBOTS: dict[str, tuple[RobotSpec, Callable[[bool], Scene]]] = {
    module.SPEC.name: (module.SPEC, module.scene) for module in (cartpole, ant, anymal_c)
}
"""Robots by name: what is known of each, and the function that generates its scene."""


def robot_spec(robot: str) -> RobotSpec:
    """Return what is known of a robot beside its model."""
    return ROBOTS[robot][0]


def mjcf(robot: str, *, timestep: float, visual: bool = False) -> str:
    """Return a robot's MJCF on flat ground.

    Args:
        robot: A name in :data:`ROBOTS`.
        timestep: Length of a physics step [s].
        visual: Whether to add geoms that are only seen. They have no mass and touch nothing, but cost time.
    """
    return document(ROBOTS[robot][1](visual), timestep)


def compile_scene(xml: str) -> mujoco.MjModel:
    """Compile an MJCF document."""
    return mujoco.MjModel.from_xml_string(xml)


def build_model(task: str, *, timestep: float | None = None, visual: bool = True) -> mujoco.MjModel:
    """Return the model of a task, by default with everything that a picture wants.

    Its ``qpos`` is laid out as :meth:`Env.snapshot` gives it, whether ``visual`` or not.

    Args:
        task: A task of the embedded simulator, by any of its names.
        timestep: Length of a physics step [s]; the task's own when omitted.
        visual: Whether to add geoms that are only seen.

    Raises:
        UsageError: The embedded simulator has no such task.
    """
    from ..tasks import find_task

    found = find_task(task)
    return compile_scene(mjcf(found.robot, timestep=timestep or found.physics_dt, visual=visual))
