"""Observation terms. Each returns (N, size) or, for a single number, (N,)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..arrays import Array, wrap_to_pi
from ..state import State


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
    """The command in the base frame: vx, vy [m/s] and wz [rad/s], or a pose, position [m] and quaternion w, x, y, z."""
    return state.command


def hand_offset(state: State) -> Array:
    """Position of the end effector less the one to reach, base frame [m]."""
    return state.hand_pos - state.command[:, :3]


def hand_turn(state: State) -> Array:
    """Turn that the end effector lacks, in its own frame: its axis times the sine of half its angle, the short way."""
    hand, asked = state.hand_quat, state.command[:, 3:7]
    alike = np.einsum("nk,nk->n", hand, asked)
    turn: Array = hand[:, :1] * asked[:, 1:] - asked[:, :1] * hand[:, 1:] - np.cross(hand[:, 1:], asked[:, 1:])
    turn *= np.where(alike < 0.0, -1.0, 1.0)[:, None]
    return turn


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


def base_yaw_roll(state: State) -> Array:
    """Yaw and roll of the base, in that order [rad]."""
    rot = state.root_rot_w
    return np.column_stack((state.heading_w, np.arctan2(rot[:, 2, 1], rot[:, 2, 2])))


def base_angle_to_target(state: State, target: tuple[float, float]) -> Array:
    """Direction to a far target, from the base's heading [rad]."""
    to_x, to_y = target[0] - state.root_pos_w[:, 0], target[1] - state.root_pos_w[:, 1]
    return wrap_to_pi(np.arctan2(to_y, to_x) - state.heading_w)


def base_up_proj(state: State) -> Array:
    """Vertical component of the base's up axis: 1 when upright."""
    return -state.projected_gravity_b[:, 2]


def base_heading_proj(state: State, target: tuple[float, float]) -> Array:
    """Component of the base's forward axis along the horizontal direction to a far target."""
    to_x, to_y = target[0] - state.root_pos_w[:, 0], target[1] - state.root_pos_w[:, 1]
    forward = state.root_rot_w[:, :, 0]
    projection: Array = (forward[:, 0] * to_x + forward[:, 1] * to_y) / np.hypot(to_x, to_y)
    return projection


def joint_pos_limit_normalized(state: State) -> Array:
    """Joint positions as parts of their soft range: -1 at the lower limit, 1 at the upper."""
    low, high = state.soft_joint_pos_limits.T
    normalized: Array = (2.0 * state.joint_pos - (low + high)) / (high - low)
    return normalized


def body_incoming_wrench(state: State) -> Array:
    """Force [N] and torque [N m] that the parent puts on each measured link at its joint, in the link's frame.

    PhysX and MuJoCo solve contacts and joints differently, so that a policy that reads this term does not carry over
    from one to the other.
    """
    return state.incoming_wrench_b


def base_height(state: State) -> Array:
    """Height of the base over the ground below it [m]."""
    position = state.root_pos_w
    return position[:, 2] - state.ground_height(position[:, 0], position[:, 1])


SCAN_X, SCAN_Y = np.linspace(-0.8, 0.8, 17), np.linspace(-0.5, 0.5, 11)
"""Grid of the height scan in the base's yaw frame [m]."""
_SCAN_GRID = np.array([(x, y, 1.0) for y in SCAN_Y for x in SCAN_X], np.float32).T
"""x runs fastest, as in Isaac Lab."""


def height_scan(state: State, offset: float) -> NDArray[np.float32]:
    """How far the base is above each point of a grid around it, less an offset [m], (N, 187).

    The grid turns with the yaw of the scanner's body alone. Heights are looked up, not cast: about a twentieth of the
    cost.
    """
    assert state.terrain is not None
    x, y, z = state.root_pos_w[:, 0], state.root_pos_w[:, 1], state.root_pos_w[:, 2]
    above = (z - offset).astype(np.float32)[:, None]
    return above - state.terrain.height_around(x, y, state.scan_heading_w, _SCAN_GRID)
