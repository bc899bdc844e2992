"""Isaac Lab's velocity tasks for ANYmal, as data: the same for each generation of it."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from ..environment import EnvCfg, Randomization, Reward
from ..mdp import rewards
from ..robots import RobotSpec
from ..terrain import RoughTerrain
from . import quadruped
from .quadruped import SPREAD, Steps
from .recipe import FLAT_STEPS

FLAT_REWARDS = (
    Reward("track_lin_vel_xy_exp", partial(rewards.track_lin_vel_xy_exp, variance=0.25), 1.0),
    Reward("track_ang_vel_z_exp", partial(rewards.track_ang_vel_z_exp, variance=0.25), 0.5),
    Reward("lin_vel_z_l2", rewards.lin_vel_z_l2, -2.0),
    Reward("ang_vel_xy_l2", rewards.ang_vel_xy_l2, -0.05),
    Reward("dof_torques_l2", rewards.joint_torques_l2, -2.5e-5),
    Reward("dof_acc_l2", rewards.joint_acc_l2, -2.5e-7),
    Reward("action_rate_l2", rewards.action_rate_l2, -0.01),
    Reward("feet_air_time", partial(rewards.feet_air_time, threshold=0.5), 0.5),
    Reward("undesired_contacts", partial(rewards.undesired_contacts, group="thighs"), -1.0),
    Reward("flat_orientation_l2", rewards.flat_orientation_l2, -5.0),
)

ROUGH_WEIGHTS = {"dof_torques_l2": -1.0e-5, "feet_air_time": 0.125, "flat_orientation_l2": 0.0}
"""Where Isaac Lab's rough task weighs differently from its flat one."""

FALL = 8.0
"""What a fall on rough ground costs in training: with 4, fewer robots pass the highest stairs and boxes."""

TURN = 0.5
"""What a rough turn is worth in training on flat ground: ANYmal learned to walk along well before it turned without it.
On rough ground it climbs the levels later with it."""


def flat_ground(spec: RobotSpec, shown: str, sole: float) -> EnvCfg:
    """Return the task on flat ground.

    Args:
        spec: The robot.
        shown: Its name in sentences.
        sole: Distance of a foot's sole from its origin [m].
    """
    return quadruped.flat_ground(
        spec,
        scale=0.5,
        terms=FLAT_REWARDS,
        reset=replace(SPREAD, root_velocity=(-0.5, 0.5), joint_pos_scale=(0.5, 1.5)),
        randomization=Randomization(
            base_mass=(-5.0, 5.0),
            base_com=(0.05, 0.05, 0.01),
            stiffness=(0.8, 1.2),
            damping=(0.8, 1.2),
            friction=(0.7, 1.3),
        ),
        steps=Steps(sole=sole, air_time=0.3, clearance=0.08, turn=TURN),
        notes=(
            f"Isaac Lab drives {shown} with a network that is not public; here an implicit PD drive stands in",
            "Isaac Lab pushes every 10 to 15 s and resamples commands every 10 s; training here does both more often",
        ),
    )


def rough_ground(flat: EnvCfg, sole: float) -> EnvCfg:
    """Return the task on rough ground."""
    return quadruped.on_rough_ground(
        flat,
        Steps(sole=sole, air_time=0.25, clearance=0.12, ahead=0.15, clear=0.6),
        weights=ROUGH_WEIGHTS,
        terrain=RoughTerrain(flat_steps=FLAT_STEPS),
        fall=FALL,
    )
