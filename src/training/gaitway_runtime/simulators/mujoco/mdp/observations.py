"""Observation terms. Each returns (N, size) or, for a single number, (N,)."""

from __future__ import annotations

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
