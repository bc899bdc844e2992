"""``Isaac-Ant-v0``: run towards a far target."""

from __future__ import annotations

from functools import partial

from ..environment import Action, EnvCfg, Reward, Termination
from ..mdp import rewards, terminations
from ..mdp.running import RESET, TARGET, running_terms
from .robot import SPEC

ANT = EnvCfg(
    physics_dt=1 / 120,
    decimation=2,
    observations=running_terms(SPEC, turning=1.0, joint_speed=0.2, wrench=0.1),
    action=Action(kind="joint_effort", scale=7.5, joint_names=SPEC.joint_names),
    rewards=(
        Reward("progress", rewards.progress_reward, 1.0),
        Reward("alive", rewards.is_alive, 0.5),
        Reward("upright", partial(rewards.upright_posture_bonus, threshold=0.93), 0.1),
        Reward("move_to_target", partial(rewards.move_to_target_bonus, target=TARGET, threshold=0.8), 0.5),
        Reward("action_l2", rewards.action_l2, -0.005),
        Reward("energy", rewards.power_consumption, -0.05),
        Reward("joint_pos_limits", partial(rewards.joint_pos_limits_penalty_ratio, threshold=0.99), -0.1),
    ),
    terminations=(Termination("torso_height", partial(terminations.root_height_below_minimum, minimum=0.31)),),
    reset=RESET,
    diagnostics=(("forward_speed", rewards.progress_reward),),
    target=TARGET,
    notes=("feet_body_forces (24 inputs) is MuJoCo's joint wrench; PhysX's differs, so a policy does not carry over",),
)
