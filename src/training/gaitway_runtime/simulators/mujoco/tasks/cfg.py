"""A task as data: what the policy sees and does, what is rewarded, what ends an episode, what is random."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..state import Array, State

Term = Callable[[State], Array]
"""A term of a task: arrays of all worlds in, an array of all worlds out."""


@dataclass(frozen=True, kw_only=True)
class Observation:
    """One observation term. Noise comes before the clip, the clip before the scale, as in Isaac Lab."""

    name: str
    func: Callable[[State], NDArray[np.floating[Any]]]
    """Returns (N, size) or, for a single number, (N,)."""
    size: int
    units: str = ""
    frame: str = ""
    noise: tuple[float, float] | None = None
    """Bounds of uniform noise, in training."""
    clip: tuple[float, float] | None = None
    scale: float = 1.0
    per_joint: bool = False
    """Whether the entries are those of the robot's joints."""


@dataclass(frozen=True, kw_only=True)
class Action:
    """What the policy's outputs mean: ``target = offset + scale * action`` for the named joints."""

    kind: str
    """``joint_position`` or ``joint_effort``."""
    scale: float
    joint_names: tuple[str, ...]
    default_offset: bool = False
    """Whether the default joint positions are the offset."""


@dataclass(frozen=True)
class Reward:
    """One reward term; per step it is worth ``weight * func * step_dt``."""

    name: str
    func: Term
    weight: float
    fade_steps: int | None = None
    """Of a shaping term: environment steps, over all worlds, in which its weight fades to nothing; None: never."""


@dataclass(frozen=True)
class Termination:
    """One way for an episode to end before its time limit, which every task has as ``time_out``."""

    name: str
    func: Callable[[State], NDArray[np.bool_]]


@dataclass(frozen=True, kw_only=True)
class Reset:
    """How an episode starts: uniform ranges about the robot's default pose. Unset ranges leave the default."""

    root_xy: tuple[float, float] = (0.0, 0.0)
    """[m]."""
    root_yaw: tuple[float, float] = (0.0, 0.0)
    """[rad]."""
    root_velocity: tuple[float, float] = (0.0, 0.0)
    """Each of the six velocities of the base's centre of mass, world frame [m/s] and [rad/s]."""
    joint_pos_scale: tuple[float, float] = (1.0, 1.0)
    """Factor on each joint's default position."""
    joint_pos_offset: tuple[tuple[float, float], ...] = ((0.0, 0.0),)
    """Added to each joint's position [rad] or [m]; one range for all joints, or one each."""
    joint_vel: tuple[tuple[float, float], ...] = ((0.0, 0.0),)
    """[rad/s] or [m/s]; one range for all joints, or one each."""


@dataclass(frozen=True, kw_only=True)
class VelocityCommand:
    """Isaac Lab's ``UniformVelocityCommand``."""

    lin_vel_x: tuple[float, float] = (-1.0, 1.0)
    """[m/s]."""
    lin_vel_y: tuple[float, float] = (-1.0, 1.0)
    """[m/s]."""
    ang_vel_z: tuple[float, float] = (-1.0, 1.0)
    """[rad/s]; of heading worlds, the bounds of the heading controller's output."""
    heading: tuple[float, float] = (-np.pi, np.pi)
    """[rad]."""
    heading_stiffness: float = 0.5
    rel_heading_envs: float = 1.0
    """Share of worlds that hold a heading instead of a yaw rate."""
    rel_standing_envs: float = 0.02
    """Share of worlds that are told to stand."""
    resampling_time: tuple[float, float] = (10.0, 10.0)
    """[s]."""


@dataclass(frozen=True, kw_only=True)
class RoughTerrain:
    """Isaac Lab's rough terrain and its ``terrain_levels_vel`` curriculum."""

    levels: tuple[int, int] = (0, 5)
    """Least and greatest level of an evaluation's episodes, drawn anew for each, and of the first ones in training,
    where robots that walk far climb from there. Isaac Lab's ``max_init_terrain_level`` is 5."""
    flat_steps: int = 0
    """Environment steps, over all worlds, for which training starts its episodes on the flat ground around the field:
    on rough ground a robot takes much longer to find out how to walk."""
    kind: str | None = None
    """The only kind of ground, one of ``terrain.KIND_NAMES``; None: all of them, in Isaac Lab's proportions."""


@dataclass(frozen=True, kw_only=True)
class Push:
    """Isaac Lab's ``push_by_setting_velocity``: at intervals, a random horizontal velocity is added to the root."""

    interval: tuple[float, float] = (10.0, 15.0)
    """[s], drawn anew per world."""
    velocity: tuple[float, float] = (-0.5, 0.5)
    """Added to each of the world's x and y velocity [m/s]."""


@dataclass(frozen=True, kw_only=True)
class Randomization:
    """What differs from world to world for a whole training run."""

    base_mass: tuple[float, float] = (0.0, 0.0)
    """Added to the base [kg]; its inertia is scaled by the ratio of masses."""
    base_com: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Half ranges of an offset of the base's centre of mass [m]."""
    stiffness: tuple[float, float] = (1.0, 1.0)
    """Factor on each drive's position gain."""
    damping: tuple[float, float] = (1.0, 1.0)
    """Factor on each drive's velocity gain."""
    friction: tuple[float, float] = (1.0, 1.0)
    """Factor on the robot's friction."""


@dataclass(frozen=True, kw_only=True)
class Shaping:
    """Training-only reward: what makes a task learn on two cores. Never part of the reported reward."""

    terms: tuple[Reward, ...] = ()
    penalty_scale: tuple[float, float] = (1.0, 1.0)
    """Factor on the task's own rewards but the ``unscaled`` ones: at the first step, and after the ramp."""
    penalty_ramp_steps: int = 1
    """Environment steps, over all worlds, in which the factor goes from first to last."""
    unscaled: tuple[str, ...] = ()
    floor: float | None = None
    """Least total reward per step, before the step length."""


@dataclass(frozen=True, kw_only=True)
class Training:
    """What training does differently from evaluation, outside the policy's contract."""

    physics_dt: float | None = None
    """[s]; the control rate stays the same."""
    decimation: int | None = None
    command_resampling_time: tuple[float, float] | None = None
    push: Push | None = None
    randomization: Randomization | None = None
    shaping: Shaping | None = None
    privileged: tuple[Observation, ...] = ()
    """What the ``critic`` group has beside the policy's terms without noise; empty: there is no such group."""


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """What an evaluation may ask of a policy beyond nominal conditions; training has its own block."""

    noise: bool = False
    """Whether observations carry their training noise."""
    push: float = 0.0
    """Greatest change of velocity by a push in x and y, every 10 to 15 s [m/s]."""
    friction_scale: float = 1.0
    """Factor on the robot's friction."""
    payload: float = 0.0
    """Mass added to the base [kg]."""


@dataclass(frozen=True, kw_only=True)
class Task:
    """One task of the embedded simulator."""

    name: str
    robot: str
    physics_dt: float
    """[s]."""
    decimation: int
    episode_length_s: float
    observations: tuple[Observation, ...]
    action: Action
    rewards: tuple[Reward, ...]
    terminations: tuple[Termination, ...]
    reset: Reset
    diagnostics: tuple[tuple[str, Term], ...] = ()
    """Measurements of every step by metric name, each (N,)."""
    command: VelocityCommand | None = None
    terrain: RoughTerrain | None = None
    """None: flat ground."""
    target: tuple[float, float] | None = None
    """A far target in the ground plane to run to [m]."""
    training: Training = Training()
    conditions: Conditions = Conditions()
    """Of an evaluation."""
    play: bool = False
    """A ``-Play`` variant: even training has no noise, pushes or randomisation."""
    notes: tuple[str, ...] = ()
    """What a reader of the contract must know, for example which terms do not carry over to another simulator."""

    @property
    def step_dt(self) -> float:
        """Time between two actions [s]."""
        return self.physics_dt * self.decimation

    @property
    def max_episode_length(self) -> int:
        """Control steps after which an episode times out."""
        return int(np.ceil(round(self.episode_length_s / self.step_dt, 6)))
