"""Observation terms. Each returns (N, size) or, for a single number, (N,)."""

from __future__ import annotations

import numpy as np

from ..state import Array, State


def joint_pos_rel(state: State) -> Array:
    """Joint positions less the default ones [rad] or [m]."""
    return state.joint_pos - state.default_joint_pos


def joint_vel_rel(state: State) -> Array:
    """Joint velocities less the default ones, which are zero [rad/s] or [m/s]."""
    return state.joint_vel


def last_action(state: State) -> Array:
    """The policy's last raw output, before scale and offset; zero after a reset."""
    return state.action


def base_lin_vel(state: State) -> Array:
    """Velocity of the base's centre of mass in the base frame [m/s]."""
    return state.root_lin_vel_b


def base_ang_vel(state: State) -> Array:
    """Angular velocity of the base in its own frame [rad/s]."""
    return state.root_ang_vel_b


def projected_gravity(state: State) -> Array:
    """Direction of gravity in the base frame, a unit vector."""
    return state.projected_gravity_b


def generated_commands(state: State) -> Array:
    """Velocity command vx, vy [m/s] and wz [rad/s] in the base frame."""
    return state.command


def foot_air_time(state: State) -> Array:
    """Time each foot has been in the air, at most 1 [s]."""
    return np.minimum(state.contacts["feet"].air_time, 1.0)


def foot_contact_time(state: State) -> Array:
    """Time each foot has been on the ground, at most 1 [s]."""
    return np.minimum(state.contacts["feet"].contact_time, 1.0)


def foot_contact(state: State) -> Array:
    """1 for each foot on the ground."""
    return state.contacts["feet"].touching.astype(np.float64)


def base_pos_z(state: State) -> Array:
    """Height of the base over the world's origin [m]."""
    return state.root_pos_w[:, 2]
