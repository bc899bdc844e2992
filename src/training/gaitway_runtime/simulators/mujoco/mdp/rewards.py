"""Reward terms, unweighted. Each returns (N,)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..state import Array, State, row_sum, wrap_to_pi
from . import observations


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


def track_lin_vel_xy_exp(state: State, variance: float) -> Array:
    """``exp(-|v_command - v|^2 / variance)`` of the horizontal base velocity; variance in [m^2/s^2]."""
    error = state.command[:, :2] - state.root_lin_vel_b[:, :2]
    return np.exp(sum_of_squares(error) / -variance)


def track_ang_vel_z_exp(state: State, variance: float) -> Array:
    """``exp(-(w_command - w)^2 / variance)`` of the yaw rate; variance in [rad^2/s^2]."""
    error = state.command[:, 2] - state.root_ang_vel_b[:, 2]
    return np.exp(error * error / -variance)


def lin_vel_z_l2(state: State) -> Array:
    """Square of the base's velocity along its own z axis [m^2/s^2]."""
    return state.root_lin_vel_b[:, 2] ** 2


def ang_vel_xy_l2(state: State) -> Array:
    """Square of the base's roll and pitch rates [rad^2/s^2]."""
    return sum_of_squares(state.root_ang_vel_b[:, :2])


def joint_torques_l2(state: State) -> Array:
    """Square of the applied torques, summed over the joints [N^2 m^2]."""
    return sum_of_squares(state.applied_torque)


def joint_acc_l2(state: State) -> Array:
    """Square of the joint accelerations, summed over the joints [rad^2/s^4]."""
    return sum_of_squares(state.joint_acc)


def action_rate_l2(state: State) -> Array:
    """Square of the change of the raw actions since the last step, summed."""
    return sum_of_squares(state.action - state.previous_action)


def feet_air_time(state: State, threshold: float) -> Array:
    """Flight time beyond a threshold [s] of each foot that just landed, summed; 0 when told to stand."""
    feet = state.contacts["feet"]
    return row_sum((feet.last_air_time - threshold) * feet.first_contact) * commanded_to_walk(state)


def undesired_contacts(state: State, group: str) -> Array:
    """Number of bodies of a group that touched in the last three physics steps."""
    return row_sum(state.contacts[group].touched)


def flat_orientation_l2(state: State) -> Array:
    """Square of the horizontal part of gravity in the base frame: 0 when upright, 1 on the side."""
    return sum_of_squares(state.projected_gravity_b[:, :2])


def commanded_to_walk(state: State) -> NDArray[np.bool_]:
    """Where the commanded horizontal speed is above Isaac Lab's 0.1 m/s."""
    return sum_of_squares(state.command[:, :2]) > 0.1**2


def sum_of_squares(values: Array) -> Array:
    """Sum of squares over the last axis: (N, k) to (N,)."""
    summed: Array = np.einsum("nk,nk->n", values, values)
    return summed


def progress_reward(state: State) -> Array:
    """Speed at which the horizontal distance to the far target shrank over the step [m/s]."""
    return (state.previous_target_distance - state.target_distance) / state.step_dt


def upright_posture_bonus(state: State, threshold: float) -> Array:
    """1 where the base's up axis is within a threshold of the vertical (cosine)."""
    return (observations.base_up_proj(state) > threshold).astype(np.float64)


def move_to_target_bonus(state: State, target: tuple[float, float], threshold: float) -> Array:
    """1 where the base heads for the target within a threshold (cosine), in proportion elsewhere."""
    heading = observations.base_heading_proj(state, target)
    return np.where(heading > threshold, 1.0, heading / threshold)


def action_l2(state: State) -> Array:
    """Square of the raw actions, summed."""
    return sum_of_squares(state.action)


def power_consumption(state: State) -> Array:
    """``sum |action * joint velocity|`` with the raw actions; every gear ratio is the largest one [rad/s]."""
    return row_sum(np.abs(state.action * state.joint_vel))


def joint_pos_limits_penalty_ratio(state: State, threshold: float) -> Array:
    """How far joints are beyond a threshold of their normalised range, over what is left of it, summed."""
    beyond = np.abs(observations.joint_pos_limit_normalized(state)) - threshold
    return row_sum(np.maximum(beyond, 0.0)) / (1.0 - threshold)
