"""``Isaac-Cartpole-v0``: hold a pole upright by pushing the cart."""

from __future__ import annotations

import math
from functools import partial

import numpy as np

from ..arrays import Array, wrap_to_pi
from ..environment import Action, EnvCfg, Observation, Reset, Reward, Termination
from ..mdp import observations, rewards, terminations
from ..state import State
from .robot import SPEC

CART, POLE = range(len(SPEC.joint_names))


def pole_angle(state: State) -> Array:
    """Angle of the pole from the vertical, unsigned [rad]."""
    return np.abs(wrap_to_pi(state.joint_pos[:, POLE]))


def cart_position(state: State) -> Array:
    """Distance of the cart from the middle of the rail [m]."""
    return np.abs(state.joint_pos[:, CART])


CARTPOLE = EnvCfg(
    physics_dt=1 / 120,
    decimation=2,
    observations=(
        Observation(name="joint_pos_rel", func=observations.joint_pos_rel, size=2, units="m, rad", per_joint=True),
        Observation(name="joint_vel_rel", func=observations.joint_vel_rel, size=2, units="m/s, rad/s", per_joint=True),
    ),
    action=Action(kind="joint_effort", scale=100.0, joint_names=("slider_to_cart",)),
    rewards=(
        Reward("alive", rewards.is_alive, 1.0),
        Reward("terminating", rewards.is_terminated, -2.0),
        Reward("pole_pos", partial(rewards.joint_pos_target_l2, joint=POLE, target=0.0), -1.0),
        Reward("cart_vel", partial(rewards.joint_vel_l1, joint=CART), -0.01),
        Reward("pole_vel", partial(rewards.joint_vel_l1, joint=POLE), -0.005),
    ),
    terminations=(
        Termination("cart_out_of_bounds", partial(terminations.joint_pos_out_of_range, joint=CART, bounds=(-3.0, 3.0))),
    ),
    reset=Reset(
        joint_pos_offset=((-1.0, 1.0), (-math.pi / 4, math.pi / 4)),
        joint_vel=((-0.5, 0.5), (-math.pi / 4, math.pi / 4)),
        joint_events=("reset_cart_position", "reset_pole_position"),
    ),
    diagnostics=(("pole_angle", pole_angle), ("cart_position", cart_position)),
)
