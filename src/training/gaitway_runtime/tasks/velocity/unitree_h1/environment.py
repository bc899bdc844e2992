"""Isaac Lab's velocity tasks for Unitree's H1, as data."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from ...environment import Assist, Reward
from ...mdp import rewards
from ..biped import Gait, flat_ground, forward, on_rough_ground
from .robot import SOLE, SPEC

ANKLES = list(SPEC.matching("ankle"))
HIPS = list(SPEC.matching("hip_yaw", "hip_roll"))
ARMS = list(SPEC.matching("shoulder", "elbow"))
TORSO = list(SPEC.matching("torso"))

FLAT_REWARDS = (
    Reward("termination_penalty", rewards.is_terminated, -200.0),
    Reward("track_lin_vel_xy_exp", partial(rewards.track_lin_vel_xy_yaw_frame_exp, variance=0.25), 1.0),
    Reward("track_ang_vel_z_exp", partial(rewards.track_ang_vel_z_world_exp, variance=0.25), 1.0),
    Reward("ang_vel_xy_l2", rewards.ang_vel_xy_l2, -0.05),
    Reward("dof_acc_l2", rewards.joint_acc_l2, -1.25e-7),
    Reward("action_rate_l2", rewards.action_rate_l2, -0.005),
    Reward("feet_air_time", partial(rewards.feet_air_time_positive_biped, threshold=0.6), 1.0),
    Reward("feet_slide", rewards.feet_slide, -0.25),
    Reward("flat_orientation_l2", rewards.flat_orientation_l2, -1.0),
    Reward("dof_pos_limits", partial(rewards.joint_pos_limits, joints=ANKLES), -1.0),
    Reward("joint_deviation_hip", partial(rewards.joint_deviation_l1, joints=HIPS), -0.2),
    Reward("joint_deviation_arms", partial(rewards.joint_deviation_l1, joints=ARMS), -0.2),
    Reward("joint_deviation_torso", partial(rewards.joint_deviation_l1, joints=TORSO), -0.1),
)

GAIT = Gait(height=0.96, sole=SOLE, clearance=0.1, least_height=0.65, assist=Assist(), long_step=0.25)

FLAT = flat_ground(SPEC, FLAT_REWARDS, GAIT)
ROUGH = on_rough_ground(
    FLAT,
    {
        "feet_air_time": Reward("feet_air_time", partial(rewards.feet_air_time_positive_biped, threshold=0.4), 0.25),
    },
    replace(GAIT, clearance=0.13),
)
ROUGH_PLAY = forward(ROUGH)
