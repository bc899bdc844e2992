"""Isaac Lab's velocity tasks for Unitree's H1, as data."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from ...environment import Assist, Reward
from ...mdp import rewards
from ..biped import H1_WALKS, Gait, flat_ground, forward, on_rough_ground
from .robot import SOLE, SPEC

ANKLES = list(SPEC.matching("ankle"))
HIPS = list(SPEC.matching("hip_yaw", "hip_roll"))
ARMS = list(SPEC.matching("shoulder", "elbow"))
TORSO = list(SPEC.matching("torso"))

FLAT_REWARDS = (
    *H1_WALKS,
    Reward("dof_pos_limits", partial(rewards.joint_pos_limits, joints=ANKLES), -1.0),
    Reward("joint_deviation_hip", partial(rewards.joint_deviation_l1, joints=HIPS), -0.2),
    Reward("joint_deviation_arms", partial(rewards.joint_deviation_l1, joints=ARMS), -0.2),
    Reward("joint_deviation_torso", partial(rewards.joint_deviation_l1, joints=TORSO), -0.1),
)

GAIT = Gait(height=0.96, sole=SOLE, clearance=0.1, least_height=0.65, assist=Assist())

FLAT = flat_ground(SPEC, FLAT_REWARDS, GAIT)
ROUGH = on_rough_ground(
    FLAT,
    {
        "feet_air_time": Reward("feet_air_time", partial(rewards.feet_air_time_positive_biped, threshold=0.4), 0.25),
    },
    replace(GAIT, clearance=0.13),
)
ROUGH_PLAY = forward(ROUGH)
