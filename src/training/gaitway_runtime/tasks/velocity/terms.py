"""Terms that every velocity task has: observations, inputs of the critic alone, measurements."""

from __future__ import annotations

from functools import partial

import numpy as np

from ..arrays import Array
from ..environment import Observation
from ..mdp import observations, rewards
from ..state import State


def policy_terms(joints: int) -> tuple[Observation, ...]:
    """Return the policy's observations on flat ground for a robot with so many joints, in Isaac Lab's order."""
    return (
        Observation(
            name="base_lin_vel",
            mirrored="vector",
            func=observations.base_lin_vel,
            size=3,
            units="m/s",
            frame="base",
            noise=(-0.1, 0.1),
        ),
        Observation(
            name="base_ang_vel",
            mirrored="rotation",
            func=observations.base_ang_vel,
            size=3,
            units="rad/s",
            frame="base",
            noise=(-0.2, 0.2),
        ),
        Observation(
            name="projected_gravity",
            mirrored="vector",
            func=observations.projected_gravity,
            size=3,
            frame="base",
            noise=(-0.05, 0.05),
        ),
        Observation(
            name="velocity_commands",
            mirrored="command",
            func=observations.generated_commands,
            size=3,
            units="m/s, m/s, rad/s",
            frame="base",
        ),
        Observation(
            name="joint_pos",
            func=observations.joint_pos_rel,
            size=joints,
            units="rad",
            noise=(-0.01, 0.01),
            per_joint=True,
        ),
        Observation(
            name="joint_vel",
            func=observations.joint_vel_rel,
            size=joints,
            units="rad/s",
            noise=(-1.5, 1.5),
            per_joint=True,
        ),
        Observation(name="actions", func=observations.last_action, size=joints, per_joint=True),
    )


def critic_terms(feet: int) -> tuple[Observation, ...]:
    """Return what the critic sees beside the policy's inputs without their noise, for a robot with so many feet."""
    return (
        Observation(name="foot_air_time", mirrored="feet", func=observations.foot_air_time, size=feet, units="s"),
        Observation(
            name="foot_contact_time", mirrored="feet", func=observations.foot_contact_time, size=feet, units="s"
        ),
        Observation(name="foot_contact", mirrored="feet", func=observations.foot_contact, size=feet),
        Observation(
            name="base_height",
            mirrored="unchanged",
            func=observations.base_height,
            size=1,
            units="m",
            frame="above the ground",
        ),
    )


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


def terrain_level(state: State) -> Array:
    """Difficulty of the ground on which the episode began."""
    return state.terrain_level.astype(np.float64)


def terrain_kind(state: State) -> Array:
    """Kind of the ground on which the episode began, as its number in ``terrain.KINDS``."""
    return state.terrain_kind.astype(np.float64)


HEIGHT_SCAN = Observation(
    name="height_scan",
    mirrored="scan",
    func=partial(observations.height_scan, offset=0.5),
    size=len(observations.SCAN_X) * len(observations.SCAN_Y),
    units="m",
    frame="base, yaw only; x fastest",
    noise=(-0.1, 0.1),
    clip=(-1.0, 1.0),
)

GROUND_DIAGNOSTICS = (("terrain_level", terrain_level), ("terrain_kind", terrain_kind))
"""Further measurements on rough ground."""
