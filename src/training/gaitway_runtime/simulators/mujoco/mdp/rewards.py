"""Reward terms, unweighted. Each returns (N,)."""

from __future__ import annotations

import numpy as np

from ..state import Array, State


def is_alive(state: State) -> Array:
    """1 while the episode has not been terminated (a time-out does not count)."""
    return (~state.terminated).astype(np.float64)


def is_terminated(state: State) -> Array:
    """1 where the episode was terminated (a time-out does not count)."""
    return state.terminated.astype(np.float64)


def joint_pos_target_l2(state: State, joint: int, target: float) -> Array:
    """Square of a joint's position less its target, wrapped to +-pi [rad^2]."""
    return wrap_to_pi(state.joint_pos[:, joint] - target) ** 2


def joint_vel_l1(state: State, joint: int) -> Array:
    """Absolute velocity of a joint [rad/s] or [m/s]."""
    return np.abs(state.joint_vel[:, joint])


def wrap_to_pi(angle: Array) -> Array:
    """Wrap angles to [-pi, pi) [rad]."""
    wrapped: Array = (angle + np.pi) % (2.0 * np.pi) - np.pi
    return wrapped
