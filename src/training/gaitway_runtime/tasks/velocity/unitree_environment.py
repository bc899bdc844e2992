"""Isaac Lab's velocity tasks for Unitree's quadrupeds, as data: the same for each of them."""

from __future__ import annotations

from functools import partial

from ..environment import EnvCfg, Randomization, Reward
from ..mdp import rewards
from ..robots import RobotSpec
from ..terrain import Obstacles, RoughTerrain
from . import quadruped
from .quadruped import Steps
from .recipe import WIDE_FLAT_STEPS

FLAT_REWARDS = (
    Reward("track_lin_vel_xy_exp", partial(rewards.track_lin_vel_xy_exp, variance=0.25), 1.5),
    Reward("track_ang_vel_z_exp", partial(rewards.track_ang_vel_z_exp, variance=0.25), 0.75),
    Reward("lin_vel_z_l2", rewards.lin_vel_z_l2, -2.0),
    Reward("ang_vel_xy_l2", rewards.ang_vel_xy_l2, -0.05),
    Reward("dof_torques_l2", rewards.joint_torques_l2, -2.0e-4),
    Reward("dof_acc_l2", rewards.joint_acc_l2, -2.5e-7),
    Reward("action_rate_l2", rewards.action_rate_l2, -0.01),
    Reward("feet_air_time", partial(rewards.feet_air_time, threshold=0.5), 0.25),
    Reward("flat_orientation_l2", rewards.flat_orientation_l2, -2.5),
)


def flat_ground(spec: RobotSpec, foot_radius: float, motor: str) -> EnvCfg:
    """Return the task on flat ground.

    Args:
        spec: The robot.
        foot_radius: [m].
        motor: What a reader of the contract must know of the drives.
    """
    return quadruped.flat_ground(
        spec,
        scale=0.25,
        terms=FLAT_REWARDS,
        randomization=Randomization(
            base_mass=(-1.0, 3.0), stiffness=(0.8, 1.2), damping=(0.8, 1.2), friction=(0.7, 1.3)
        ),
        steps=Steps(sole=foot_radius, air_time=0.2, clearance=0.06),
        notes=(
            motor,
            "Isaac Lab does not push and resamples commands every 10 s; training here does both more often",
        ),
    )


def rough_ground(flat: EnvCfg, foot_radius: float) -> EnvCfg:
    """Return the task on rough ground, whose boxes are lower than a larger robot's.

    These robots are half as high as an ANYmal: training begins on the lowest level, once they walk on flat ground.
    """
    return quadruped.on_rough_ground(
        flat,
        Steps(sole=foot_radius, air_time=0.2, clearance=0.09, ahead=0.15, clear=0.6),
        weights={"feet_air_time": 0.01, "flat_orientation_l2": 0.0},
        terrain=RoughTerrain(
            flat_steps=WIDE_FLAT_STEPS,
            easy_start=True,
            obstacles=Obstacles(boxes=(0.025, 0.1), roughness=(0.01, 0.06), roughness_step=0.01),
        ),
    )
