"""``Isaac-Ant-v0``: run towards a far target."""

from __future__ import annotations

from functools import partial

from ..mdp import observations, rewards, terminations
from ..models.ant import SPEC
from .cfg import Action, Observation, Reset, Reward, Task, Termination

TARGET = (1000.0, 0.0)
"""[m]."""
JOINTS = len(SPEC.joint_names)

ANT = Task(
    name="Isaac-Ant-v0",
    robot=SPEC.name,
    physics_dt=1 / 120,
    decimation=2,
    episode_length_s=16.0,
    observations=(
        Observation(name="base_height", func=observations.base_pos_z, size=1, units="m", frame="world"),
        Observation(name="base_lin_vel", func=observations.base_lin_vel, size=3, units="m/s", frame="base"),
        Observation(name="base_ang_vel", func=observations.base_ang_vel, size=3, units="rad/s", frame="base"),
        Observation(name="base_yaw_roll", func=observations.base_yaw_roll, size=2, units="rad", frame="world"),
        Observation(
            name="base_angle_to_target",
            func=partial(observations.base_angle_to_target, target=TARGET),
            size=1,
            units="rad",
        ),
        Observation(name="base_up_proj", func=observations.base_up_proj, size=1),
        Observation(name="base_heading_proj", func=partial(observations.base_heading_proj, target=TARGET), size=1),
        Observation(name="joint_pos_norm", func=observations.joint_pos_limit_normalized, size=JOINTS, per_joint=True),
        Observation(
            name="joint_vel_rel",
            func=observations.joint_vel_rel,
            size=JOINTS,
            units="rad/s",
            scale=0.2,
            per_joint=True,
        ),
        Observation(
            name="feet_body_forces",
            func=observations.body_incoming_wrench,
            size=6 * len(SPEC.wrench_bodies),
            units="N, N m",
            frame="link; not portable between simulators",
            scale=0.1,
        ),
        Observation(name="actions", func=observations.last_action, size=JOINTS, per_joint=True),
    ),
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
    reset=Reset(joint_pos_offset=((-0.2, 0.2),), joint_vel=((-0.1, 0.1),)),
    diagnostics=(("forward_speed", rewards.progress_reward),),
    target=TARGET,
    notes=("feet_body_forces (24 inputs) is MuJoCo's joint wrench; PhysX's differs, so a policy does not carry over",),
)
