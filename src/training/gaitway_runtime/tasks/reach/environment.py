"""Isaac Lab's reach task, as data: the same for each arm."""

from __future__ import annotations

import math
from functools import partial

from ..environment import Action, EnvCfg, Observation, PoseCommand, Reset, Reward, Shaping, Training
from ..mdp import observations, rewards, shaping
from ..robots import RobotSpec

_LATER = 4500
"""Control steps after which Isaac Lab punishes fast movements more."""

POSITION = (
    Reward("position_near", partial(rewards.position_command_error_tanh, std=0.25), 1.0),
    Reward("position_at", partial(rewards.position_command_error_tanh, std=0.05), 1.0),
)
"""What training rewards where the position alone is to be learned."""

POSE = (
    *POSITION,
    Reward("orientation", rewards.orientation_command_error, -0.5),
    Reward("orientation_at", partial(shaping.orientation_near, std=0.25), 1.0),
    Reward("tilt", shaping.hand_tilt, -0.5),
)
"""The same where the orientation is to be learned too."""

OFF = (
    Observation(name="hand_offset", func=observations.hand_offset, size=3, units="m", frame="base"),
    Observation(name="hand_turn", func=observations.hand_turn, size=3, frame="end effector"),
)
"""How far the hand is off, for the critic."""


def reaching(
    spec: RobotSpec,
    moved: tuple[str, ...],
    *,
    pitch: float,
    spread: tuple[float, float],
    shaped: tuple[Reward, ...] = POSITION,
    privileged: tuple[Observation, ...] = (),
    notes: tuple[str, ...] = (),
) -> EnvCfg:
    """Return the task of an arm.

    Args:
        spec: The arm.
        moved: Joints that the actions move.
        pitch: Of every commanded pose: where the end effector's axis points down [rad].
        spread: Factor on the default joint positions at the start of an episode.
        shaped: What training rewards beside the task's own terms.
        privileged: What the critic sees beside what the policy does.
        notes: What a reader of the contract must know.
    """
    joints = len(spec.joint_names)
    return EnvCfg(
        physics_dt=1 / 60,
        decimation=2,
        observations=(
            Observation(
                name="joint_pos",
                func=observations.joint_pos_rel,
                size=joints,
                units="rad, m",
                noise=(-0.01, 0.01),
                per_joint=True,
            ),
            Observation(
                name="joint_vel",
                func=observations.joint_vel_rel,
                size=joints,
                units="rad/s, m/s",
                noise=(-0.01, 0.01),
                per_joint=True,
            ),
            Observation(
                name="pose_command",
                func=observations.generated_commands,
                size=7,
                units="m, quaternion w x y z",
                frame="base",
            ),
            Observation(name="actions", func=observations.last_action, size=len(moved)),
        ),
        action=Action(kind="joint_position", scale=0.5, joint_names=moved, default_offset=True),
        rewards=(
            Reward("end_effector_position_tracking", rewards.position_command_error, -0.2),
            Reward(
                "end_effector_position_tracking_fine_grained",
                partial(rewards.position_command_error_tanh, std=0.1),
                0.1,
            ),
            Reward("end_effector_orientation_tracking", rewards.orientation_command_error, -0.1),
            Reward("action_rate", rewards.action_rate_l2, -0.0001, later=(_LATER, -0.005)),
            Reward("joint_vel", rewards.joint_vel_l2, -0.0001, later=(_LATER, -0.001)),
        ),
        terminations=(),
        reset=Reset(joint_pos_scale=spread),
        diagnostics=(
            ("position_error", rewards.position_command_error),
            ("orientation_error", rewards.orientation_command_error),
        ),
        command=PoseCommand(
            pos_x=(0.35, 0.65),
            pos_y=(-0.2, 0.2),
            pos_z=(0.15, 0.5),
            pitch=(pitch, pitch),
            yaw=(-math.pi, math.pi),
        ),
        training=Training(shaping=Shaping(terms=shaped), privileged=privileged),
        notes=notes,
    )
