"""Reward terms that only training sees: what makes a quadruped learn real steps within minutes on two cores.

They are never part of the reported reward, and ``--no-shaping`` leaves them out. Each returns (N,), unweighted.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..models.anymal_c import FOOT_RADIUS
from ..state import Array, State, row_sum
from .rewards import commanded_to_walk

LF, LH, RF, RH = range(4)


def long_steps(state: State, threshold: float, most: float) -> Array:
    """Flight time beyond a threshold, at most ``most`` [s], of each foot that just landed; 0 when told to stand.

    Unlike Isaac Lab's ``feet_air_time`` it does not go on growing, so that flying is no goal of its own.
    """
    feet = state.contacts["feet"]
    beyond = np.minimum(feet.last_air_time - threshold, most)
    return row_sum(beyond * feet.first_contact) * commanded_to_walk(state)


def diagonal_gait(state: State) -> Array:
    """1 where exactly one diagonal pair of feet is on the ground; when told to stand still, where all four are."""
    touching = state.contacts["feet"].touching
    lf, lh, rf, rh = touching[:, LF], touching[:, LH], touching[:, RF], touching[:, RH]
    trot, stand = (lf == rh) & (rf == lh) & (lf != rf), lf & lh & rf & rh
    return np.where(commanded_to_move(state), trot, stand).astype(np.float64)


def foot_clearance(state: State, height: float, spread: float) -> Array:
    """Near 1 where every foot that moves sideways is at its swing height; 0 when told to stand.

    ``exp(-sum_feet (h - height)^2 tanh(2 |v_xy|) / spread)`` with h the clearance of the foot's underside [m].
    """
    x, y, z = (state.foot_pos_w[:, :, axis] for axis in range(3))
    clearance = z - state.ground_height(x, y) - FOOT_RADIUS
    vel_x, vel_y = state.foot_vel_w[:, :, 0], state.foot_vel_w[:, :, 1]
    speed = np.sqrt(vel_x * vel_x + vel_y * vel_y)
    missed = (clearance - height) ** 2 * np.tanh(2.0 * speed)
    shaped: Array = np.exp(row_sum(missed) / -spread) * commanded_to_walk(state)
    return shaped


def commanded_to_move(state: State) -> NDArray[np.bool_]:
    """Where the robot is told to walk, or to turn at more than 0.2 rad/s."""
    return commanded_to_walk(state) | (np.abs(state.command[:, 2]) > 0.2)
