"""Reward terms that only training sees: what makes a robot learn real steps, or poses, within minutes on two cores.

They are never part of the reported reward, and ``--no-shaping`` leaves them out. Each returns (N,), unweighted.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..arrays import Array, row_sum
from ..state import State
from . import observations
from .rewards import commanded_to_walk, orientation_command_error

LF, LH, RF, RH = range(4)


def long_steps(state: State, threshold: float, most: float, least: float = -np.inf) -> Array:
    """Flight time beyond a threshold, of each foot that just landed, summed; 0 when commanded to stand.

    A landing counts from ``least`` to ``most`` [s]. Unlike Isaac Lab's ``feet_air_time`` it does not keep growing, so
    that flying is no goal of its own; with ``least`` a foot that only trembles does not outweigh everything else.
    """
    feet = state.contacts["feet"]
    beyond = np.clip(feet.last_air_time - threshold, least, most)
    return row_sum(beyond * feet.first_contact) * commanded_to_walk(state)


def diagonal_gait(state: State) -> Array:
    """1 where exactly one diagonal pair of feet is on the ground; when commanded to stand still, where all four are."""
    touching = state.contacts["feet"].touching
    lf, lh, rf, rh = touching[:, LF], touching[:, LH], touching[:, RF], touching[:, RH]
    trot, stand = (lf == rh) & (rf == lh) & (lf != rf), lf & lh & rf & rh
    return np.where(commanded_to_move(state), trot, stand).astype(np.float64)


AHEAD = (1 / 3, 2 / 3, 1.0)
"""Where a foot looks for what it has to clear, as shares of the time ahead."""


def foot_clearance(state: State, height: float, spread: float, sole: float, ahead: float = 0.0) -> Array:
    """Near 1 where every foot that moves sideways is at its swing height; 0 when commanded to stand.

    ``exp(-sum_feet (h - height)^2 tanh(2 |v_xy|) / spread)`` with h the clearance of the foot's underside,
    which is ``sole`` below the foot's centre [m], over the highest ground from there to where the foot comes in
    ``ahead`` [s]: it has to be high before it meets a step, not over it.
    """
    x, y, z = (state.foot_pos_w[:, :, axis] for axis in range(3))
    vel_x, vel_y = state.foot_vel_w[:, :, 0], state.foot_vel_w[:, :, 1]
    ground = state.ground_height(x, y)
    for share in AHEAD if ahead else ():
        later = share * ahead
        ground = np.maximum(ground, state.ground_height(x + later * vel_x, y + later * vel_y))
    clearance = z - ground - sole
    speed = np.sqrt(vel_x * vel_x + vel_y * vel_y)
    missed = (clearance - height) ** 2 * np.tanh(2.0 * speed)
    shaped: Array = np.exp(row_sum(missed) / -spread) * commanded_to_walk(state)
    return shaped


def biped_gait(state: State) -> Array:
    """1 where exactly one foot is on the ground; when commanded to stand still, where both are."""
    count = state.contacts["feet"].touching.sum(axis=1)
    right: Array = np.where(commanded_to_move(state), count == 1, count == 2).astype(np.float64)
    return right


def base_height(state: State, height: float, spread: float) -> Array:
    """Near 1 where the base is at a height over the ground [m]: ``exp(-(z - height)^2 / spread)``."""
    missed = observations.base_height(state) - height
    return np.exp(missed * missed / -spread)


def commanded_to_move(state: State) -> NDArray[np.bool_]:
    """Where the robot is commanded to walk, or to turn at more than 0.2 rad/s."""
    return commanded_to_walk(state) | (np.abs(state.command[:, 2]) > 0.2)


def orientation_near(state: State, std: float) -> Array:
    """``1 - tanh(angle / std)``: 1 where the end effector is turned as commanded."""
    near: Array = 1.0 - np.tanh(orientation_command_error(state) / std)
    return near


def hand_tilt(state: State) -> Array:
    """Angle between where down is, seen from the end effector, and where the commanded pose has it [rad].

    The part of the orientation's error that is not a turn about the vertical. An arm whose last joint is too slow to
    turn its hand all the way otherwise tilts the hand to come nearer, and stays there.
    """
    alike = np.einsum("kn,kn->n", _down(state.hand_quat), _down(state.command[:, 3:7]))
    tilt: Array = np.arccos(np.clip(alike, -1.0, 1.0))
    return tilt


def _down(quat: Array) -> Array:
    """Return the direction of gravity in the frames of unit quaternions w, x, y, z, (N, 4), entries first: (3, N)."""
    w, x, y, z = quat.T
    return np.stack((2.0 * (w * y - x * z), -2.0 * (w * x + y * z), 2.0 * (x * x + y * y) - 1.0))
