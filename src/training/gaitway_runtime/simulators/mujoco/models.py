"""Models: the MJCF of a robot on its ground, compiled, and where the robot's quantities lie in it."""

from __future__ import annotations

from dataclasses import dataclass

import mujoco
import numpy as np
from numpy.typing import NDArray

from ...tasks.environment import EnvCfg, find_environment
from ...tasks.robots import ROBOTS, RobotSpec, contact_sensor
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


@dataclass(frozen=True)
class Layout:
    """Where the robot's quantities lie in MuJoCo's vectors, in the policy's joint order."""

    joint_qpos: NDArray[np.int64]
    joint_dof: NDArray[np.int64]
    contact: dict[str, slice]
    """Columns of the contact array, by group."""
    num_contacts: int
    foot: slice
    """Sensor data of the feet: position and velocity of each in turn."""
    wrench: slice

    @staticmethod
    def of(model: mujoco.MjModel, spec: RobotSpec) -> Layout:
        """Return the layout of a robot's model.

        Raises:
            ValueError: Its sensors are not where the engine reads them.
        """
        joints = [model.joint(name) for name in spec.joint_names]
        groups, count = {}, 0
        for group, bodies in spec.contact_bodies.items():
            for number, body in enumerate(bodies):
                if model.sensor(contact_sensor(body)).adr[0] != 3 * (count + number):
                    raise ValueError(f"contact sensors of {spec.name} are not first, in order")
            groups[group] = slice(count, count + len(bodies))
            count += len(bodies)
        feet = [f"position_{body}" for body in spec.contact_bodies.get("feet", ())]
        wrenches = [f"force_{body}" for body in spec.wrench_bodies]
        return Layout(
            joint_qpos=np.array([joint.qposadr[0] for joint in joints]),
            joint_dof=np.array([joint.dofadr[0] for joint in joints]),
            contact=groups,
            num_contacts=count,
            foot=_span(model, feet, 6),
            wrench=_span(model, wrenches, 6),
        )


def _span(model: mujoco.MjModel, first_of: list[str], width: int) -> slice:
    """Return the sensor data of consecutive sensors that start with those named and are ``width`` wide each."""
    if not first_of:
        return slice(0, 0)
    start = int(model.sensor(first_of[0]).adr[0])
    if [int(model.sensor(name).adr[0]) - start for name in first_of] != [width * k for k in range(len(first_of))]:
        raise ValueError(f"sensors {first_of} are not consecutive")
    return slice(start, start + width * len(first_of))
