"""Velocity tasks of bipeds: what all of them share, in Isaac Lab and in training on the laptop."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from ..arrays import Array
from ..environment import (
    Action,
    Assist,
    EnvCfg,
    Randomization,
    Reward,
    Shaping,
    Termination,
    Training,
    VelocityCommand,
)
from ..mdp import rewards, shaping, terminations
from ..robots import RobotSpec
from ..state import State
from ..terrain import RoughTerrain
from .quadruped import SPREAD, WALLS, played
from .recipe import BIPED_FLAT_STEPS
from .terms import DIAGNOSTICS, GROUND_DIAGNOSTICS, HEIGHT_SCAN, TRACKING, critic_terms, policy_terms


def flight_time(state: State) -> Array:
    """Length of each foot's last flight, the shorter of the two [s]."""
    shorter: Array = state.contacts["feet"].last_air_time.min(axis=1)
    return shorter


def single_stance(state: State) -> Array:
    """1 where exactly one foot is on the ground."""
    alone: Array = (state.contacts["feet"].touching.sum(axis=1) == 1).astype(np.float64)
    return alone


BIPED_DIAGNOSTICS = (*DIAGNOSTICS, ("flight_time", flight_time), ("single_stance", single_stance))

H1_WALKS = (
    Reward("termination_penalty", rewards.is_terminated, -200.0),
    Reward("track_lin_vel_xy_exp", partial(rewards.track_lin_vel_xy_yaw_frame_exp, variance=0.25), 1.0),
    Reward("track_ang_vel_z_exp", partial(rewards.track_ang_vel_z_world_exp, variance=0.25), 1.0),
    Reward("ang_vel_xy_l2", rewards.ang_vel_xy_l2, -0.05),
    Reward("dof_acc_l2", rewards.joint_acc_l2, -1.25e-7),
    Reward("action_rate_l2", rewards.action_rate_l2, -0.005),
    Reward("feet_air_time", partial(rewards.feet_air_time_positive_biped, threshold=0.6), 1.0),
    Reward("feet_slide", rewards.feet_slide, -0.25),
    Reward("flat_orientation_l2", rewards.flat_orientation_l2, -1.0),
)
"""Rewards of Isaac Lab's H1 that name no joint."""

COMMAND = VelocityCommand(lin_vel_x=(0.0, 1.0), lin_vel_y=(0.0, 0.0), ang_vel_z=(-1.0, 1.0))
"""Forward and turning; Isaac Lab's for H1."""


@dataclass(frozen=True, kw_only=True)
class Gait:
    """How a biped is to walk in training."""

    height: float
    """Height of the base over the ground to hold [m]."""
    sole: float
    """Distance of a foot's sole from its origin [m]."""
    clearance: float
    """Height at which a foot swings [m]."""
    least_height: float
    """Height of the base below which an episode ends [m]."""
    assist: Assist
    """The helping hand at first."""
    long_step: float = 0.25
    """Flight time from which a step is rewarded [s]; all that are shorter by 0.1 s or more cost the same."""
    command_steps: int = 3_000_000
    """Environment steps, over all worlds, in which the robot is never asked to stand."""


def assist_for(mass: float, height: float) -> Assist:
    """Return a helping hand for a robot of a mass [kg] whose base stands at a height [m].

    It must not hold a robot that does nothing: one that leans into its harness without a fall learns to stand there.
    A wrench holds for a control step: a damping of more than about the robot's inertia over the length of the step
    makes it shake, and spin, instead of holding it.
    """
    weight, inertia = 9.81 * mass * height, mass * height * height
    return Assist(upright=weight, upright_damping=1.25 * inertia, drive=7.5 * mass, turn=0.3 * inertia)


def flat_ground(
    spec: RobotSpec, terms: tuple[Reward, ...], gait: Gait, *, command: VelocityCommand = COMMAND, scale: float = 0.5
) -> EnvCfg:
    """Return a biped's task on flat ground.

    Args:
        spec: The robot.
        terms: Rewards, Isaac Lab's for it.
        gait: How it is to walk in training.
        command: Velocity commands.
        scale: What an action of 1 is worth [rad].
    """
    return EnvCfg(
        physics_dt=0.005,
        decimation=4,
        observations=policy_terms(len(spec.joint_names)),
        action=Action(kind="joint_position", scale=scale, joint_names=spec.joint_names, default_offset=True),
        rewards=terms,
        terminations=(Termination("base_contact", partial(terminations.illegal_contact, group="base")),),
        reset=SPREAD,
        diagnostics=BIPED_DIAGNOSTICS,
        command=command,
        training=Training(
            physics_dt=0.01,
            decimation=2,
            command=replace(command, lin_vel_x=(0.2, 1.0), resampling_time=(3.0, 8.0)),
            command_steps=gait.command_steps,
            terminations=(
                Termination("low", partial(terminations.base_height_below, minimum=gait.least_height)),
                Termination("tilted", partial(terminations.tilted, cosine=0.7)),
            ),
            assist=gait.assist,
            randomization=Randomization(stiffness=(0.9, 1.1), damping=(0.9, 1.1), friction=(0.7, 1.3)),
            shaping=walking(gait),
            privileged=critic_terms(len(spec.contact_bodies["feet"])),
        ),
        notes=("Isaac Lab resamples commands every 10 s; training here does so more often",),
    )


def walking(gait: Gait, more_for_stance: float = 0.0) -> Shaping:
    """Return the training-only reward with which a biped learns to step.

    Args:
        gait: How it is to walk.
        more_for_stance: What it is paid for standing on one leg beyond what it is on flat ground.
    """
    clearance = partial(shaping.foot_clearance, height=gait.clearance, spread=0.02, sole=gait.sole)
    long_steps = partial(shaping.long_steps, threshold=gait.long_step, most=0.15, least=-0.1)
    stance = 2.0 + more_for_stance
    return Shaping(
        terms=(
            Reward("track_lin_vel_xy_wide", partial(rewards.track_lin_vel_xy_yaw_frame_exp, variance=1.0), 1.0),
            Reward("track_ang_vel_z_wide", partial(rewards.track_ang_vel_z_world_exp, variance=1.0), 2.0),
            Reward("biped_gait", shaping.biped_gait, 1.0),
            Reward("single_stance_time", partial(rewards.feet_air_time_positive_biped, threshold=0.5), stance),
            Reward("foot_clearance", clearance, 0.5),
            Reward("long_steps", long_steps, 25.0),
            Reward("base_height", partial(shaping.base_height, height=gait.height, spread=0.01), 0.5),
        ),
        penalty_scale=(0.3, 1.0),
        penalty_ramp_steps=2_000_000,
        unscaled=(*TRACKING, "feet_air_time"),
        floor=0.0,
    )


def on_rough_ground(flat: EnvCfg, changed: Mapping[str, Reward | None], gait: Gait) -> EnvCfg:
    """Return a biped's task on rough ground from that on flat ground.

    Args:
        flat: The flat task.
        changed: Rewards that differ, by name; None: it is left out.
        gait: How it is to walk in training.
    """
    terms = tuple(changed.get(term.name, term) for term in flat.rewards)
    return replace(
        flat,
        observations=(*flat.observations, HEIGHT_SCAN),
        rewards=tuple(term for term in terms if term is not None),
        terrain=RoughTerrain(flat_steps=BIPED_FLAT_STEPS, easy_start=True),
        command=COMMAND,
        diagnostics=(*BIPED_DIAGNOSTICS, *GROUND_DIAGNOSTICS),
        training=replace(
            flat.training,
            # The curriculum compares the way walked with the last command: it needs commands that last.
            command=replace(COMMAND, lin_vel_x=(0.2, 1.0)),
            # The task pays less for it than on flat ground: one H1 of three then stood in its harness and stayed.
            shaping=walking(gait, _paid_for_stance(flat.rewards) - _paid_for_stance(terms)),
        ),
        notes=(WALLS,),
    )


def _paid_for_stance(terms: Iterable[Reward | None]) -> float:
    return sum(term.weight for term in terms if term is not None and term.name == "feet_air_time")


def forward(rough: EnvCfg) -> EnvCfg:
    """Return the ``-Play`` form of a task on rough ground: any level, straight ahead at 1 m/s for 40 s."""
    command = replace(COMMAND, lin_vel_x=(1.0, 1.0), heading=(0.0, 0.0))
    return replace(played(rough), command=command, episode_length_s=40.0)
