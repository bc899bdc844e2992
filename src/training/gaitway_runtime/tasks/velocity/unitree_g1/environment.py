"""Isaac Lab's velocity tasks for Unitree's G1, as data."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from ...environment import Assist, Reward
from ...mdp import rewards
from ..biped import COMMAND, Gait, flat_ground, forward, on_rough_ground
from .numbers import FINGERS
from .robot import SOLE, SPEC

LEGS = list(SPEC.matching("_hip_", "_knee_"))
ANKLES = list(SPEC.matching("ankle"))
HIPS = list(SPEC.matching("hip_yaw", "hip_roll"))
ARMS = list(SPEC.matching("shoulder", "elbow"))
HANDS = list(SPEC.matching(*(f"_{finger}_" for finger in FINGERS)))
TORSO = list(SPEC.matching("torso"))

FLAT_REWARDS = (
    Reward("termination_penalty", rewards.is_terminated, -200.0),
    Reward("track_lin_vel_xy_exp", partial(rewards.track_lin_vel_xy_yaw_frame_exp, variance=0.25), 1.0),
    Reward("track_ang_vel_z_exp", partial(rewards.track_ang_vel_z_world_exp, variance=0.25), 1.0),
    Reward("lin_vel_z_l2", rewards.lin_vel_z_l2, -0.2),
    Reward("ang_vel_xy_l2", rewards.ang_vel_xy_l2, -0.05),
    Reward("dof_torques_l2", partial(rewards.joint_torques_l2, joints=LEGS), -2.0e-6),
    Reward("dof_acc_l2", partial(rewards.joint_acc_l2, joints=LEGS), -1.0e-7),
    Reward("action_rate_l2", rewards.action_rate_l2, -0.005),
    Reward("feet_air_time", partial(rewards.feet_air_time_positive_biped, threshold=0.4), 0.75),
    Reward("feet_slide", rewards.feet_slide, -0.1),
    Reward("flat_orientation_l2", rewards.flat_orientation_l2, -1.0),
    Reward("dof_pos_limits", partial(rewards.joint_pos_limits, joints=ANKLES), -1.0),
    Reward("joint_deviation_hip", partial(rewards.joint_deviation_l1, joints=HIPS), -0.1),
    Reward("joint_deviation_arms", partial(rewards.joint_deviation_l1, joints=ARMS), -0.1),
    Reward("joint_deviation_fingers", partial(rewards.joint_deviation_l1, joints=HANDS), -0.05),
    Reward("joint_deviation_torso", partial(rewards.joint_deviation_l1, joints=TORSO), -0.1),
)

GAIT = Gait(
    height=0.7,
    sole=SOLE,
    clearance=0.08,
    least_height=0.47,
    assist=Assist(upright=228.0, upright_damping=20.0, drive=250.0, turn=5.0),
    command_steps=2_400_000,
)

FLAT = flat_ground(SPEC, FLAT_REWARDS, GAIT, command=replace(COMMAND, lin_vel_y=(-0.5, 0.5)))

_EVERY_LEG_JOINT = sorted((*LEGS, *ANKLES))
ROUGH = on_rough_ground(
    FLAT,
    {
        "track_ang_vel_z_exp": Reward(
            "track_ang_vel_z_exp", partial(rewards.track_ang_vel_z_world_exp, variance=0.25), 2.0
        ),
        "lin_vel_z_l2": None,
        "dof_torques_l2": Reward("dof_torques_l2", partial(rewards.joint_torques_l2, joints=_EVERY_LEG_JOINT), -1.5e-7),
        "dof_acc_l2": Reward("dof_acc_l2", partial(rewards.joint_acc_l2, joints=LEGS), -1.25e-7),
        "feet_air_time": Reward("feet_air_time", partial(rewards.feet_air_time_positive_biped, threshold=0.4), 0.25),
    },
    replace(GAIT, clearance=0.11),
)
ROUGH_PLAY = forward(ROUGH)
