"""Reward terms, unweighted. Each returns (N,)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..arrays import Array, row_sum, wrap_to_pi
from ..state import State
from . import observations

Joints = slice | list[int]
"""Which joints, in the policy's order."""
ALL = slice(None)
Gears = float | tuple[float, ...]
"""Each joint's greatest torque as a part of the largest one's; one number for all joints, or one each."""


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


def track_lin_vel_xy_yaw_frame_exp(state: State, variance: float) -> Array:
    """As :func:`track_lin_vel_xy_exp`, with the velocity in the frame that turns with the base's yaw alone."""
    error = state.command[:, :2] - lin_vel_yaw_frame(state)
    return np.exp(sum_of_squares(error) / -variance)


def track_ang_vel_z_world_exp(state: State, variance: float) -> Array:
    """As :func:`track_ang_vel_z_exp`, with the yaw rate about the world's vertical."""
    error = state.command[:, 2] - yaw_rate_w(state)
    return np.exp(error * error / -variance)


def lin_vel_yaw_frame(state: State) -> Array:
    """Horizontal velocity of the base's centre of mass in the frame of the base's yaw [m/s], (N, 2)."""
    world = np.einsum("nij,nj->ni", state.root_rot_w, state.root_lin_vel_b)
    cos, sin = np.cos(state.heading_w), np.sin(state.heading_w)
    return np.stack((cos * world[:, 0] + sin * world[:, 1], cos * world[:, 1] - sin * world[:, 0]), axis=1)


def yaw_rate_w(state: State) -> Array:
    """Rate of turn about the world's vertical [rad/s]."""
    rate: Array = np.einsum("nj,nj->n", state.root_rot_w[:, 2], state.root_ang_vel_b)
    return rate


def joint_torques_l2(state: State, joints: Joints = ALL) -> Array:
    """Square of the applied torques, summed over some joints [N^2 m^2]."""
    return sum_of_squares(state.applied_torque[:, joints])


def joint_acc_l2(state: State, joints: Joints = ALL) -> Array:
    """Square of the joint accelerations, summed over some joints [rad^2/s^4]."""
    return sum_of_squares(state.joint_acc[:, joints])


def joint_deviation_l1(state: State, joints: Joints) -> Array:
    """Distance of some joints from their default positions, summed [rad]."""
    return row_sum(np.abs(state.joint_pos[:, joints] - state.default_joint_pos[joints]))


def joint_pos_limits(state: State, joints: Joints = ALL) -> Array:
    """How far some joints are beyond their soft limits, summed [rad]."""
    low, high = state.soft_joint_pos_limits[joints].T
    pos = state.joint_pos[:, joints]
    return row_sum(np.maximum(low - pos, 0.0) + np.maximum(pos - high, 0.0))


def action_rate_l2(state: State) -> Array:
    """Square of the change of the raw actions since the last step, summed."""
    return sum_of_squares(state.action - state.previous_action)


def feet_air_time(state: State, threshold: float) -> Array:
    """Flight time beyond a threshold [s] of each foot that just landed, summed; 0 when commanded to stand."""
    feet = state.contacts["feet"]
    return row_sum((feet.last_air_time - threshold) * feet.first_contact) * commanded_to_walk(state)


def feet_air_time_positive_biped(state: State, threshold: float) -> Array:
    """Time on one foot alone [s]: the shorter of the stance foot's time on the ground and the other's in the air.

    At most a threshold; 0 on both feet or none, and when commanded to stand.
    """
    feet = state.contacts["feet"]
    in_contact = feet.contact_time > 0.0
    in_mode = np.where(in_contact, feet.contact_time, feet.air_time)
    single: Array = np.where(in_contact.sum(axis=1) == 1, in_mode.min(axis=1), 0.0)
    return np.minimum(single, threshold) * commanded_to_walk(state)


def position_command_error(state: State) -> Array:
    """Distance of the end effector from the position to reach [m]."""
    return np.sqrt(sum_of_squares(state.hand_pos - state.command[:, :3]))


def position_command_error_tanh(state: State, std: float) -> Array:
    """``1 - tanh(distance / std)``: 1 where the end effector is at the position to reach."""
    near: Array = 1.0 - np.tanh(position_command_error(state) / std)
    return near


def orientation_command_error(state: State) -> Array:
    """Angle between the end effector's orientation and the one to reach [rad]."""
    alike = np.abs(np.einsum("nk,nk->n", state.hand_quat, state.command[:, 3:7]))
    angle: Array = 2.0 * np.arccos(np.minimum(alike, 1.0))
    return angle


def joint_vel_l2(state: State) -> Array:
    """Square of the joint velocities, summed [rad^2/s^2]."""
    return sum_of_squares(state.joint_vel)


def feet_slide(state: State) -> Array:
    """Horizontal speed of the feet that touched in the last three physics steps, summed [m/s]."""
    speed = np.hypot(state.foot_vel_w[:, :, 0], state.foot_vel_w[:, :, 1])
    return row_sum(speed * state.contacts["feet"].touched)


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


def power_consumption(state: State, gears: Gears = 1.0) -> Array:
    """``sum |action * joint velocity * gear|`` with the raw actions; a gear is a part of the largest [rad/s]."""
    return row_sum(np.abs(state.action * state.joint_vel * np.asarray(gears)))


def joint_pos_limits_penalty_ratio(state: State, threshold: float, gears: Gears = 1.0) -> Array:
    """How far joints are beyond a threshold of their normalised range, over what is left of it, by gear, summed."""
    beyond = np.abs(observations.joint_pos_limit_normalized(state)) - threshold
    return row_sum(np.maximum(beyond, 0.0) * np.asarray(gears)) / (1.0 - threshold)
