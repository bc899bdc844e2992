"""``Isaac-Humanoid-v0``: run towards a far target."""

from __future__ import annotations

from functools import partial

from ..environment import Action, EnvCfg, Reward, Termination
from ..mdp import rewards, terminations
from ..mdp.running import RESET, TARGET, running_terms
from .robot import SPEC, TORQUES

GEARS = tuple(torque / max(TORQUES) for torque in TORQUES)
"""Each joint's torque as a part of the largest."""

HUMANOID = EnvCfg(
    physics_dt=1 / 120,
    decimation=2,
    observations=running_terms(SPEC, turning=0.25, joint_speed=0.1, wrench=0.01),
    action=Action(kind="joint_effort", scale=TORQUES, joint_names=SPEC.joint_names),
    rewards=(
        Reward("progress", rewards.progress_reward, 1.0),
        Reward("alive", rewards.is_alive, 2.0),
        Reward("upright", partial(rewards.upright_posture_bonus, threshold=0.93), 0.1),
        Reward("move_to_target", partial(rewards.move_to_target_bonus, target=TARGET, threshold=0.8), 0.5),
        Reward("action_l2", rewards.action_l2, -0.01),
        Reward("energy", partial(rewards.power_consumption, gears=GEARS), -0.005),
        Reward("joint_pos_limits", partial(rewards.joint_pos_limits_penalty_ratio, threshold=0.98, gears=GEARS), -0.25),
    ),
    terminations=(Termination("torso_height", partial(terminations.root_height_below_minimum, minimum=0.8)),),
    reset=RESET,
    diagnostics=(("forward_speed", rewards.progress_reward),),
    target=TARGET,
    notes=("feet_body_forces (12 inputs) is MuJoCo's joint wrench; PhysX's differs, so a policy does not carry over",),
)
