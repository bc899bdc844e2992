"""World of the drive page: a task's model, observations and ground as JSON, and a rollout to compare with."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

import numpy as np
from numpy.typing import NDArray

from ..spec.errors import UsageError
from .drive_graph import Graph, adapted, read_graph
from .subject import exported_actor

if TYPE_CHECKING:
    import mujoco

    from ..simulators.mujoco.env import MujocoEnv
    from ..tasks.environment import EnvCfg
    from ..tasks.robots import RobotSpec
    from ..tasks.terrain import Terrain
    from .rollout import Actor

TERMS = (
    "base_lin_vel",
    "base_ang_vel",
    "projected_gravity",
    "velocity_commands",
    "joint_pos",
    "joint_pos_rel",
    "joint_vel",
    "joint_vel_rel",
    "actions",
    "height_scan",
)
"""Observation terms that ``robot.js`` of the page computes."""
RECORDED_STEPS = 100
"""Control steps of the recorded rollout."""
SEED = 7
CALM = ((-1.0, 1.0), (-1.0, 1.0), (-1.0, 1.0))
"""Ranges of the sliders of a task without a command."""


class Recorded(TypedDict):
    """A rollout of the Python simulation: its start, and what followed at each control step."""

    qpos: list[float]
    qvel: list[float]
    commands: list[list[float]]
    observations: list[list[float]]
    actions: list[list[float]]
    positions: list[list[float]]


class Place(TypedDict):
    """A tile of rough ground to start on."""

    name: str
    origin: list[float]


class Term(TypedDict):
    """An observation term."""

    name: str
    scale: float
    clip: list[float] | None


class DrivableGround(TypedDict):
    """Measures of the height field [m]."""

    rows: int
    columns: int
    resolution: float
    centre: list[float]
    low: float
    high: float
    walls: bool
    """Whether the simulation in Python has vertical walls; the page has ramps of one cell."""


class HeightScan(TypedDict):
    """Grid of the height scan, in the robot's heading frame [m]."""

    x: list[float]
    y: list[float]
    offset: float


class World(TypedDict):
    """Everything of a task that ``robot.js`` of the page reads."""

    task: str
    simulator: str
    mjcf: str
    decimation: int
    control_dt: float
    num_actions: int
    action_scale: list[float]
    action_offset: list[float]
    observations: list[Term]
    joint_qpos: list[int]
    joint_dof: list[int]
    default_joint_pos: list[float]
    base_body: int | None
    base_com: list[float]
    fall_sensors: list[int]
    start_qpos: list[float]
    command_ranges: list[list[float]]
    terrain: DrivableGround | None
    height_scan: HeightScan
    places: list[Place]
    recorded: Recorded


def describe(task: str, policy: Path) -> tuple[World, Graph, NDArray[np.float32] | None]:
    """Return a task's world with a rollout of a policy, its operations, and the heights of rough ground.

    Args:
        task: Name of the task.
        policy: The exported file, which drives the rollout from a confined process.

    Returns:
        The world; the operations, from the task's observations to its actions; the heights, (rows, columns).

    Raises:
        UsageError: The embedded simulator has no such task, the page does not know one of its terms, or the policy is
            not of this task.
    """
    import mujoco

    from ..simulators.mujoco.env import MujocoEnv
    from ..simulators.mujoco.models import compile_robot, mjcf, terrain_of
    from ..tasks.environment import VelocityCommand, find_environment
    from ..tasks.mdp.observations import SCAN_X, SCAN_Y
    from ..tasks.robots import ROBOTS

    found = dataclasses.replace(find_environment(task), play=True)
    graph = read_graph(policy)
    _check(found)
    spec, terrain = ROBOTS.get(found.robot), terrain_of(found)
    model = compile_robot(found.robot, timestep=found.physics_dt, visual=True, terrain=terrain)
    env = MujocoEnv(found, num_envs=1, training=False, seed=SEED)
    try:
        with exported_actor(policy, env.contract) as (actor, adapter):
            recorded = _record(env, actor)
        if adapter is not None:
            graph = adapted(graph, adapter, env.contract.observation_size)
    finally:
        env.close()
    command = found.command
    ranges = CALM
    if isinstance(command, VelocityCommand):
        ranges = (command.lin_vel_x, command.lin_vel_y, command.ang_vel_z)
    joints = [model.joint(name) for name in spec.joint_names]
    world: World = {
        "task": found.name.replace("-Play", ""),
        "simulator": f"MuJoCo {mujoco.__version__}",
        "mjcf": mjcf(found.robot, timestep=found.physics_dt, visual=True, terrain=terrain),
        "decimation": found.decimation,
        "control_dt": found.step_dt,
        "num_actions": len(found.action.joint_names),
        "action_scale": list(found.action.scales),
        "action_offset": list(env.contract.actions[0].offset),
        "observations": [
            {"name": term.name, "scale": term.scale, "clip": list(term.clip) if term.clip else None}
            for term in found.observations
        ],
        "joint_qpos": [int(joint.qposadr[0]) for joint in joints],
        "joint_dof": [int(joint.dofadr[0]) for joint in joints],
        "default_joint_pos": list(spec.default_joint_pos),
        "base_body": int(model.body(spec.base).id) if spec.base else None,
        "base_com": model.body(spec.base).ipos.tolist() if spec.base else [0.0, 0.0, 0.0],
        "fall_sensors": _fall_sensors(model, spec),
        "start_qpos": _start(model, spec, joints_of(model, spec)),
        "command_ranges": [list(pair) for pair in ranges],
        "terrain": _ground(terrain) if terrain else None,
        "height_scan": {"x": SCAN_X.tolist(), "y": SCAN_Y.tolist(), "offset": 0.5},
        "places": _places(terrain) if terrain else [],
        "recorded": recorded,
    }
    return world, graph, terrain.heights if terrain else None


def joints_of(model: mujoco.MjModel, spec: RobotSpec) -> list[int]:
    """Return where the joints of a robot lie in ``qpos``, in the policy's order."""
    return [int(model.joint(name).qposadr[0]) for name in spec.joint_names]


def _check(task: EnvCfg) -> None:
    unknown = [term.name for term in task.observations if term.name not in TERMS]
    if unknown:
        raise UsageError(
            f"the drive page does not know what {task.name} observes: {', '.join(unknown)}",
            allowed=", ".join(TERMS),
            hint="the film of infer shows it: gaitway infer",
        )


def _record(env: MujocoEnv, actor: Actor) -> Recorded:
    from ..tasks.environment import VelocityCommand

    observations = env.reset()["policy"]
    found: Recorded = {
        "qpos": env.engine.qpos[0].tolist(),
        "qvel": env.engine.qvel[0].tolist(),
        "commands": [],
        "observations": [],
        "actions": [],
        "positions": [],
    }
    commanded = isinstance(env.cfg.command, VelocityCommand)
    for _ in range(RECORDED_STEPS):
        actions = actor.act(observations)
        found["commands"].append(env.state.command[0].tolist() if commanded else [0.0, 0.0, 0.0])
        found["observations"].append(observations[0].tolist())
        found["actions"].append(actions[0].tolist())
        transition = env.step(actions)
        if bool(transition.terminated[0]) or bool(transition.truncated[0]):
            for values in (found["commands"], found["observations"], found["actions"]):
                values.pop()
            break
        found["positions"].append(env.engine.qpos[0].tolist())
        observations = transition.observations["policy"]
    return found


def _fall_sensors(model: mujoco.MjModel, spec: RobotSpec) -> list[int]:
    """Return where the contact forces of the bodies that must not touch the ground lie in the sensor data."""
    from ..tasks.robots import contact_sensor

    bodies = spec.contact_bodies.get("base", ())
    return [int(model.sensor(contact_sensor(body)).adr[0]) for body in bodies]


def _start(model: mujoco.MjModel, spec: RobotSpec, joints: list[int]) -> list[float]:
    qpos = model.qpos0.copy()
    qpos[joints] = spec.default_joint_pos
    if spec.base:
        qpos[:7] = (0.0, 0.0, spec.init_height, 1.0, 0.0, 0.0, 0.0)
    return [float(value) for value in qpos]


def _ground(terrain: Terrain) -> DrivableGround:
    from ..tasks.terrain import RESOLUTION

    low, high = terrain.bounds
    rows, columns = terrain.heights.shape
    return {
        "rows": rows,
        "columns": columns,
        "resolution": RESOLUTION,
        "centre": list(terrain.centre),
        "low": low,
        "high": high,
        "walls": terrain.columns is not None,
    }


def _places(terrain: Terrain) -> list[Place]:
    """Return a tile of each kind and difficulty, the easiest first."""
    from ..tasks.terrain import KIND_NAMES

    found: dict[tuple[int, str], list[float]] = {}
    for row, column in np.ndindex(terrain.kinds.shape):
        kind, level = KIND_NAMES[int(terrain.kinds[row, column])], int(terrain.levels[row, column])
        name = f"{kind.removeprefix('hf_').replace('_', ' ')}, level {level}"
        found.setdefault((level, name), terrain.origins[row, column].tolist())
    return [{"name": name, "origin": origin} for (_, name), origin in sorted(found.items())]
