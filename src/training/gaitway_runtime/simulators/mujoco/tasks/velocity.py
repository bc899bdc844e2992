"""Isaac Lab's velocity tasks for ANYmal C: walk at a commanded velocity."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial

import numpy as np

from ..mdp import observations, rewards, shaping, terminations
from ..models.anymal_c import SPEC
from ..state import Array, State
from ..terrain import LEVELS
from .cfg import (
    Action,
    Observation,
    Push,
    Randomization,
    Reset,
    Reward,
    RoughTerrain,
    Shaping,
    Task,
    Termination,
    Training,
    VelocityCommand,
)

JOINTS = len(SPEC.joint_names)

OBSERVATIONS = (
    Observation(
        name="base_lin_vel", func=observations.base_lin_vel, size=3, units="m/s", frame="base", noise=(-0.1, 0.1)
    ),
    Observation(
        name="base_ang_vel", func=observations.base_ang_vel, size=3, units="rad/s", frame="base", noise=(-0.2, 0.2)
    ),
    Observation(
        name="projected_gravity", func=observations.projected_gravity, size=3, frame="base", noise=(-0.05, 0.05)
    ),
    Observation(
        name="velocity_commands",
        func=observations.generated_commands,
        size=3,
        units="m/s, m/s, rad/s",
        frame="base",
    ),
    Observation(
        name="joint_pos",
        func=observations.joint_pos_rel,
        size=JOINTS,
        units="rad",
        noise=(-0.01, 0.01),
        per_joint=True,
    ),
    Observation(
        name="joint_vel",
        func=observations.joint_vel_rel,
        size=JOINTS,
        units="rad/s",
        noise=(-1.5, 1.5),
        per_joint=True,
    ),
    Observation(name="actions", func=observations.last_action, size=JOINTS, per_joint=True),
)

PRIVILEGED = (
    Observation(name="foot_air_time", func=observations.foot_air_time, size=4, units="s"),
    Observation(name="foot_contact_time", func=observations.foot_contact_time, size=4, units="s"),
    Observation(name="foot_contact", func=observations.foot_contact, size=4),
    Observation(name="base_height", func=observations.base_height, size=1, units="m", frame="above the ground"),
)
"""What the critic of the laptop recipe sees beside the policy's inputs without their noise."""


def error_vel_xy(state: State) -> Array:
    """Distance of the horizontal base velocity from its command [m/s]."""
    return np.sqrt(rewards.sum_of_squares(state.command[:, :2] - state.root_lin_vel_b[:, :2]))


def error_vel_yaw(state: State) -> Array:
    """Distance of the yaw rate from its command [rad/s]."""
    return np.abs(state.command[:, 2] - state.root_ang_vel_b[:, 2])


def command_axis(state: State, axis: int) -> Array:
    """One component of the velocity command [m/s] or [rad/s]."""
    return state.command[:, axis]


def lin_vel_axis(state: State, axis: int) -> Array:
    """One component of the base velocity, base frame [m/s]."""
    return state.root_lin_vel_b[:, axis]


def yaw_rate(state: State) -> Array:
    """Yaw rate of the base [rad/s]."""
    return state.root_ang_vel_b[:, 2]


DIAGNOSTICS = (
    ("error_vel_xy", error_vel_xy),
    ("error_vel_yaw", error_vel_yaw),
    ("command_vx", partial(command_axis, axis=0)),
    ("command_vy", partial(command_axis, axis=1)),
    ("command_wz", partial(command_axis, axis=2)),
    ("vel_x", partial(lin_vel_axis, axis=0)),
    ("vel_y", partial(lin_vel_axis, axis=1)),
    ("vel_yaw", yaw_rate),
)

TRACKING = ("track_lin_vel_xy_exp", "track_ang_vel_z_exp")

FLAT_REWARDS = (
    Reward("track_lin_vel_xy_exp", partial(rewards.track_lin_vel_xy_exp, variance=0.25), 1.0),
    Reward("track_ang_vel_z_exp", partial(rewards.track_ang_vel_z_exp, variance=0.25), 0.5),
    Reward("lin_vel_z_l2", rewards.lin_vel_z_l2, -2.0),
    Reward("ang_vel_xy_l2", rewards.ang_vel_xy_l2, -0.05),
    Reward("dof_torques_l2", rewards.joint_torques_l2, -2.5e-5),
    Reward("dof_acc_l2", rewards.joint_acc_l2, -2.5e-7),
    Reward("action_rate_l2", rewards.action_rate_l2, -0.01),
    Reward("feet_air_time", partial(rewards.feet_air_time, threshold=0.5), 0.5),
    Reward("undesired_contacts", partial(rewards.undesired_contacts, group="thighs"), -1.0),
    Reward("flat_orientation_l2", rewards.flat_orientation_l2, -5.0),
)

FLAT_SHAPING = Shaping(
    terms=(
        Reward("track_lin_vel_xy_wide", partial(rewards.track_lin_vel_xy_exp, variance=1.0), 1.0),
        Reward("long_steps", partial(shaping.long_steps, threshold=0.3, most=0.2), 6.0),
        Reward("diagonal_gait", shaping.diagonal_gait, 0.3),
        Reward("foot_clearance", partial(shaping.foot_clearance, height=0.08, spread=0.02), 0.3),
    ),
    penalty_scale=(0.3, 1.0),
    penalty_ramp_steps=1_000_000,
    unscaled=TRACKING,
    floor=0.0,
)

FLAT = Task(
    name="Isaac-Velocity-Flat-Anymal-C-v0",
    robot=SPEC.name,
    physics_dt=0.005,
    decimation=4,
    episode_length_s=20.0,
    observations=OBSERVATIONS,
    action=Action(kind="joint_position", scale=0.5, joint_names=SPEC.joint_names, default_offset=True),
    rewards=FLAT_REWARDS,
    terminations=(Termination("base_contact", partial(terminations.illegal_contact, group="base")),),
    reset=Reset(
        root_xy=(-0.5, 0.5), root_yaw=(-math.pi, math.pi), root_velocity=(-0.5, 0.5), joint_pos_scale=(0.5, 1.5)
    ),
    diagnostics=DIAGNOSTICS,
    command=VelocityCommand(),
    training=Training(
        physics_dt=0.01,
        decimation=2,
        command_resampling_time=(2.0, 8.0),
        push=Push(interval=(5.0, 10.0)),
        randomization=Randomization(
            base_mass=(-5.0, 5.0),
            base_com=(0.05, 0.05, 0.01),
            stiffness=(0.8, 1.2),
            damping=(0.8, 1.2),
            friction=(0.7, 1.3),
        ),
        shaping=FLAT_SHAPING,
        privileged=PRIVILEGED,
    ),
    notes=(
        "Isaac Lab drives ANYmal C with a network that is not public; here an implicit PD drive stands in",
        "Isaac Lab pushes every 10 to 15 s and resamples commands every 10 s; training here does both more often",
    ),
)

FLAT_PLAY = replace(FLAT, name="Isaac-Velocity-Flat-Anymal-C-Play-v0", play=True)


def terrain_level(state: State) -> Array:
    """Difficulty of the ground on which the episode began."""
    return state.terrain_level.astype(np.float64)


def terrain_kind(state: State) -> Array:
    """Kind of the ground on which the episode began, as its number in ``terrain.KINDS``."""
    return state.terrain_kind.astype(np.float64)


HEIGHT_SCAN = Observation(
    name="height_scan",
    func=partial(observations.height_scan, offset=0.5),
    size=len(observations.SCAN_X) * len(observations.SCAN_Y),
    units="m",
    frame="base, yaw only; x fastest",
    noise=(-0.1, 0.1),
    clip=(-1.0, 1.0),
)

ROUGH_WEIGHTS = {"dof_torques_l2": -1.0e-5, "feet_air_time": 0.125, "flat_orientation_l2": 0.0}
"""Where Isaac Lab's rough task weighs differently from its flat one."""

ROUGH = replace(
    FLAT,
    name="Isaac-Velocity-Rough-Anymal-C-v0",
    observations=(*OBSERVATIONS, HEIGHT_SCAN),
    rewards=tuple(replace(term, weight=ROUGH_WEIGHTS.get(term.name, term.weight)) for term in FLAT_REWARDS),
    terrain=RoughTerrain(flat_steps=1_000_000),
    diagnostics=(*DIAGNOSTICS, ("terrain_level", terrain_level), ("terrain_kind", terrain_kind)),
    training=replace(
        FLAT.training,
        # The curriculum compares the way walked with the last command: it needs commands that last.
        command_resampling_time=None,
        push=Push(),
        shaping=replace(
            FLAT_SHAPING,
            terms=(
                Reward("track_lin_vel_xy_wide", partial(rewards.track_lin_vel_xy_exp, variance=1.0), 1.0),
                Reward("long_steps", partial(shaping.long_steps, threshold=0.25, most=0.2), 6.0),
                Reward("diagonal_gait", shaping.diagonal_gait, 0.3),
                Reward("foot_clearance", partial(shaping.foot_clearance, height=0.12, spread=0.02), 0.3),
                Reward("flat_orientation", rewards.flat_orientation_l2, -2.0, fade_steps=3_000_000),
            ),
            penalty_ramp_steps=2_000_000,
        ),
    ),
    notes=(
        FLAT.notes[0],
        "stairs and boxes are part of a height field of 0.1 m: their walls are ramps of one cell",
    ),
)

ROUGH_PLAY = replace(
    ROUGH, name="Isaac-Velocity-Rough-Anymal-C-Play-v0", play=True, terrain=RoughTerrain(levels=(0, LEVELS - 1))
)
