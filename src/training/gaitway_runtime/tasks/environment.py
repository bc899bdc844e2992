"""A task as data: what the policy sees and does, what is rewarded, what ends an episode, what is random."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..spec.catalog import PLAY, embedded
from ..spec.errors import ConfigError
from ..spec.registry import imported
from . import own_rewards
from .arrays import Array
from .state import State
from .terrain import RoughTerrain

Term = Callable[[State], Array]
"""A term of a task: arrays of all worlds in, an array of all worlds out."""
Range = tuple[float, float]
"""Least and greatest value of a uniform draw."""
Ranges = Range | tuple[Range, ...]
"""One range for several numbers, or one each."""


def one_each(ranges: Ranges, count: int) -> tuple[Range, ...]:
    """Return a range for each of several numbers: a single one counts for all."""
    every = ranges if isinstance(ranges[0], tuple) else (ranges,)
    return every * count if len(every) == 1 else every


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
    mirrored: str = ""
    """What a mirror does to the entries of a term that is not per joint: ``vector``, ``rotation`` (an angular
    velocity), ``command`` (vx, vy, wz), ``feet``, ``scan``, ``unchanged``. Empty: unknown, and the task has no
    mirrors."""


@dataclass(frozen=True, kw_only=True)
class Action:
    """What the policy's outputs mean: ``target = offset + scale * action`` for the named joints."""

    kind: str
    """``joint_position`` or ``joint_effort``."""
    scale: float | tuple[float, ...]
    """[rad] or [N m]; one for all joints, or one each."""
    joint_names: tuple[str, ...]
    default_offset: bool = False
    """Whether the default joint positions are the offset."""

    @property
    def scales(self) -> tuple[float, ...]:
        """That of each joint."""
        return self.scale if isinstance(self.scale, tuple) else (self.scale,) * len(self.joint_names)


@dataclass(frozen=True)
class Reward:
    """One reward term; per step it is worth ``weight * func * step_dt``."""

    name: str
    func: Term
    weight: float
    fade_steps: int | None = None
    """Of a shaping term: environment steps, over all worlds, in which its weight fades to nothing; None: never."""
    later: tuple[int, float] | None = None
    """Control steps of each world after which it weighs otherwise, and that weight: Isaac Lab's
    ``modify_reward_weight``."""


@dataclass(frozen=True)
class Termination:
    """One way for an episode to end before its time limit, which every task has as ``time_out``."""

    name: str
    func: Callable[[State], NDArray[np.bool_]]


@dataclass(frozen=True, kw_only=True)
class Reset:
    """How an episode starts: uniform ranges about the robot's default pose. Unset ranges leave the default."""

    root_xy: Ranges = (0.0, 0.0)
    """[m]; one range for x and y, or one each."""
    root_yaw: tuple[float, float] = (0.0, 0.0)
    """[rad]."""
    root_velocity: Ranges = (0.0, 0.0)
    """The six velocities of the base's centre of mass, world frame [m/s] and [rad/s]; one range for all, or one
    each."""
    joint_pos_scale: tuple[float, float] = (1.0, 1.0)
    """Factor on each joint's default position."""
    joint_pos_offset: Ranges = (0.0, 0.0)
    """Added to each joint's position [rad] or [m]; one range for all joints, or one each."""
    joint_vel: Ranges = (0.0, 0.0)
    """[rad/s] or [m/s]; one range for all joints, or one each."""
    joint_events: tuple[str, ...] = ()
    """Isaac Lab's names of the events that reset single joints, in their order, where each has one of its own."""


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
    """Share of worlds that are commanded to stand."""
    resampling_time: tuple[float, float] = (10.0, 10.0)
    """[s]."""


@dataclass(frozen=True, kw_only=True)
class PoseCommand:
    """Isaac Lab's ``UniformPoseCommand``: a pose for the end effector, in the base frame."""

    pos_x: tuple[float, float]
    """[m]."""
    pos_y: tuple[float, float]
    """[m]."""
    pos_z: tuple[float, float]
    """[m]."""
    roll: tuple[float, float] = (0.0, 0.0)
    """[rad]."""
    pitch: tuple[float, float] = (0.0, 0.0)
    """[rad]."""
    yaw: tuple[float, float] = (0.0, 0.0)
    """[rad]."""
    resampling_time: tuple[float, float] = (4.0, 4.0)
    """[s]."""


@dataclass(frozen=True, kw_only=True)
class Push:
    """Isaac Lab's ``push_by_setting_velocity``: at intervals, a random horizontal velocity is added to the root."""

    interval: tuple[float, float] = (10.0, 15.0)
    """[s], drawn anew per world."""
    velocity: Ranges = (-0.5, 0.5)
    """Added to the world's x and y velocity [m/s]; one range for both, or one each."""


@dataclass(frozen=True, kw_only=True)
class Randomization:
    """What differs from world to world for a whole training run."""

    base_mass: tuple[float, float] = (0.0, 0.0)
    """Added to the base [kg]; its inertia is scaled by the ratio of masses."""
    base_com: tuple[float, float, float] | tuple[Range, Range, Range] = (0.0, 0.0, 0.0)
    """Offset of the base's centre of mass along x, y and z [m]: half of a range about none, or a range."""
    stiffness: tuple[float, float] = (1.0, 1.0)
    """Factor on each drive's position gain."""
    damping: tuple[float, float] = (1.0, 1.0)
    """Factor on each drive's velocity gain."""
    friction: tuple[float, float] = (1.0, 1.0)
    """Factor on the robot's friction."""

    @property
    def base_com_ranges(self) -> tuple[Range, ...]:
        """Range of the offset along x, y and z [m]."""
        return tuple(each if isinstance(each, tuple) else (-each, each) for each in self.base_com)


@dataclass(frozen=True, kw_only=True)
class Imperfections:
    """What a real robot has and a simulated one has not, drawn for each world: (least, greatest)."""

    action_delay: tuple[int, int] = (0, 0)
    """Control steps from the policy's output to the drives."""
    observation_delay: tuple[int, int] = (0, 0)
    """Control steps from a measurement to the policy."""
    motor_strength: tuple[float, float] = (1.0, 1.0)
    """Factor on each drive's torque."""
    joint_friction: tuple[float, float] = (0.0, 0.0)
    """Dry friction of each joint [N m]."""
    joint_offset: tuple[float, float] = (0.0, 0.0)
    """By how much each joint's encoder is off [rad]: what is measured, and what the drive holds."""
    gyro_bias: tuple[float, float] = (0.0, 0.0)
    """Drift of the angular rate, each axis [rad/s]."""
    tilt_bias: tuple[float, float] = (0.0, 0.0)
    """Error of the measured direction of gravity, each horizontal axis [rad]."""


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
    fall: float = 0.0
    """What an episode that ends early costs once, below the floor; the ramp of penalties brings it in from nothing."""


@dataclass(frozen=True, kw_only=True)
class Assist:
    """A helping hand on the base that fades out: a wrench that holds it upright and draws it along its command.

    Each world is helped with a fixed share of the present level, shares spread evenly from none to all, so that worlds
    without help are always in the batch. The level falls for good while the helped worlds do well.
    """

    upright: float = 500.0
    """Torque per sine of the tilt [N m]."""
    upright_damping: float = 80.0
    """Torque against roll and pitch rates [N m s/rad]."""
    drive: float = 250.0
    """Force per error of the horizontal velocity [N s/m]."""
    turn: float = 40.0
    """Torque per error of the yaw rate [N m s/rad]."""
    fading: float = 0.98
    """Factor on the level, each time."""
    every: int = 24
    """Control steps between two looks at how the helped worlds do."""
    fall_rate: float = 1.0 / 300.0
    """Falls per world and control step below which the level falls."""
    error: float = 0.33
    """Mean error of the horizontal velocity below which the level falls [m/s]."""
    least: float = 0.02
    """Level below which there is no help any more."""


@dataclass(frozen=True, kw_only=True)
class Training:
    """What training does differently from evaluation, outside the policy's contract."""

    physics_dt: float | None = None
    """[s]; the control rate stays the same."""
    decimation: int | None = None
    command_resampling_time: tuple[float, float] | None = None
    """[s]; the task's own when omitted."""
    command: VelocityCommand | None = None
    """Velocity commands in place of the task's own."""
    command_steps: int | None = None
    """Environment steps, over all worlds, after which the task's own ranges apply after all; None: never."""
    terminations: tuple[Termination, ...] = ()
    """Further ways for an episode to end."""
    assist: Assist | None = None
    push: Push | None = None
    randomization: Randomization | None = None
    imperfections: Imperfections | None = None
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
    action_delay: int = 0
    """Control steps from the policy's output to the drives."""
    observation_delay: int = 0
    """Control steps from a measurement to the policy."""
    motor_strength: float = 1.0
    """Factor on the drives' torque."""
    joint_friction: float = 0.0
    """Dry friction of the joints [N m]."""
    joint_offset: float = 0.0
    """Greatest error of the joints' encoders [rad]."""
    gyro_bias: float = 0.0
    """Greatest drift of the angular rate [rad/s]."""
    tilt_bias: float = 0.0
    """Greatest error of the measured direction of gravity [rad]."""

    @property
    def imperfections(self) -> Imperfections:
        """Everything of the robot itself that is not nominal."""
        return Imperfections(
            action_delay=(self.action_delay,) * 2,
            observation_delay=(self.observation_delay,) * 2,
            motor_strength=(self.motor_strength,) * 2,
            joint_friction=(self.joint_friction,) * 2,
            joint_offset=(-self.joint_offset, self.joint_offset),
            gyro_bias=(-self.gyro_bias, self.gyro_bias),
            tilt_bias=(-self.tilt_bias, self.tilt_bias),
        )


@dataclass(frozen=True, kw_only=True)
class EnvCfg:
    """What a task is to the simulator. Its name and robot are those of its registration."""

    name: str = ""
    robot: str = ""
    episode_length_s: float = 0.0
    """That of the registration where it is 0 [s]."""
    physics_dt: float
    """[s]."""
    decimation: int
    """Physics steps per policy step."""
    observations: tuple[Observation, ...]
    action: Action
    rewards: tuple[Reward, ...]
    terminations: tuple[Termination, ...]
    reset: Reset
    diagnostics: tuple[tuple[str, Term], ...] = ()
    """Measurements of every step by metric name, each (N,)."""
    command: VelocityCommand | PoseCommand | None = None
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


def find_environment(name: str) -> EnvCfg:
    """Return the configuration of a registered task's environment, by any of the task's names.

    Raises:
        UsageError: The embedded simulator has no such task; the error names the nearest.
        ConfigError: The registration is not that of this configuration.
    """
    task = embedded(name)
    play = PLAY in name
    reference = task.play_environment if play and task.play_environment else task.environment
    cfg = imported(reference, f"environment of task '{task.name}'", EnvCfg)
    size, actions = sum(term.size for term in cfg.observations), len(cfg.action.joint_names)
    said, found = (task.observations, task.actions, task.control_hz), (size, actions, round(1 / cfg.step_dt, 6))
    if said != found:
        raise ConfigError(
            f"task '{task.name}' is registered with {said[0]} observations and {said[1]} actions at {said[2]:g} Hz, "
            f"but its environment has {found[0]} and {found[1]} at {found[2]:g} Hz",
            source=reference,
            hint="correct the numbers in register(Task(...))",
        )
    shown = task.name.replace("-v0", f"{PLAY}-v0") if play else task.name
    length = cfg.episode_length_s or task.episode_length_s
    rewards = (*cfg.rewards, *own_rewards.ADDED.get(task.name, ()))
    return replace(cfg, name=shown, robot=task.robot, rewards=rewards, episode_length_s=length, play=play)
