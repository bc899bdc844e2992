"""Velocity tasks of quadrupeds: what all of them share, in Isaac Lab and in training on the laptop."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial

from ..environment import (
    Action,
    EnvCfg,
    Push,
    Randomization,
    Reset,
    Reward,
    Shaping,
    Termination,
    Training,
    VelocityCommand,
)
from ..mdp import rewards, shaping, terminations
from ..robots import RobotSpec
from ..terrain import LEVELS, RoughTerrain
from .terms import DIAGNOSTICS, GROUND_DIAGNOSTICS, HEIGHT_SCAN, TRACKING, critic_terms, policy_terms

WALLS = (
    "stairs and boxes are made of cells of 0.1 m; their walls are vertical where feet meet them (ramps of one cell "
    "with env.terrain.walls=false)"
)


@dataclass(frozen=True, kw_only=True)
class Steps:
    """Steps that training asks for, on flat and on rough ground."""

    sole: float
    """Distance of a foot's sole from its origin [m]."""
    air_time: float
    """Flight time from which a step counts as long [s]."""
    clearance: float
    """Height at which a foot swings [m]."""
    ahead: float = 0.0
    """How far ahead it looks for what it has to clear [s]."""
    clear: float = 0.3
    """Weight of the term for that height."""
    turn: float = 0.0
    """Weight of the term that still tells a yaw rate far from the command."""


SPREAD = Reset(root_xy=(-0.5, 0.5), root_yaw=(-math.pi, math.pi))
"""Episodes start about their origin, in any direction, in the robot's default pose."""


FALL = 4.0
"""What a fall costs in training, on rough ground and for a user's own robot: about as much as Isaac Lab takes off for a
biped's."""


def flat_ground(
    spec: RobotSpec,
    *,
    scale: float,
    terms: tuple[Reward, ...],
    reset: Reset = SPREAD,
    randomization: Randomization,
    steps: Steps,
    fall: float = 0.0,
    notes: tuple[str, ...] = (),
) -> EnvCfg:
    """Return a robot's task on flat ground.

    Args:
        spec: The robot.
        scale: What an action of 1 is worth [rad].
        terms: Rewards, Isaac Lab's for it.
        reset: How an episode starts.
        randomization: What differs from world to world in training.
        steps: Properties of a step in training.
        fall: What a fall costs in training.
        notes: What a reader of the contract must know.
    """
    return EnvCfg(
        physics_dt=0.005,
        decimation=4,
        observations=policy_terms(len(spec.joint_names)),
        action=Action(kind="joint_position", scale=scale, joint_names=spec.joint_names, default_offset=True),
        rewards=terms,
        terminations=(Termination("base_contact", partial(terminations.illegal_contact, group="base")),),
        reset=reset,
        diagnostics=DIAGNOSTICS,
        command=VelocityCommand(),
        training=Training(
            physics_dt=0.01,
            decimation=2,
            command_resampling_time=(2.0, 8.0),
            push=Push(interval=(5.0, 10.0)),
            randomization=randomization,
            shaping=replace(stepping(steps), fall=fall),
            privileged=critic_terms(len(spec.contact_bodies["feet"])),
        ),
        notes=notes,
    )


def stepping(steps: Steps) -> Shaping:
    """Return the training-only reward with which a quadruped learns to trot."""
    clearance = partial(shaping.foot_clearance, height=steps.clearance, spread=0.02, sole=steps.sole, ahead=steps.ahead)
    return Shaping(
        terms=(
            Reward("track_lin_vel_xy_wide", partial(rewards.track_lin_vel_xy_exp, variance=1.0), 1.0),
            Reward("track_ang_vel_z_wide", partial(rewards.track_ang_vel_z_exp, variance=1.0), steps.turn),
            Reward("long_steps", partial(shaping.long_steps, threshold=steps.air_time, most=0.2), 6.0),
            Reward("diagonal_gait", shaping.diagonal_gait, 0.3),
            Reward("foot_clearance", clearance, steps.clear),
        ),
        penalty_scale=(0.3, 1.0),
        penalty_ramp_steps=1_000_000,
        unscaled=TRACKING,
        floor=0.0,
    )


def on_rough_ground(
    flat: EnvCfg, steps: Steps, *, weights: Mapping[str, float], terrain: RoughTerrain, fall: float = FALL
) -> EnvCfg:
    """Return a robot's task on rough ground from that on flat ground.

    Args:
        flat: The flat task.
        steps: Properties of a step on rough ground.
        weights: Rewards that weigh differently.
        terrain: The ground.
        fall: What a fall costs in training.
    """
    shaped = stepping(steps)
    level = Reward("flat_orientation", rewards.flat_orientation_l2, -2.0, fade_steps=3_000_000)
    return replace(
        flat,
        observations=(*flat.observations, HEIGHT_SCAN),
        rewards=tuple(replace(term, weight=weights.get(term.name, term.weight)) for term in flat.rewards),
        terrain=terrain,
        diagnostics=(*DIAGNOSTICS, *GROUND_DIAGNOSTICS),
        training=replace(
            flat.training,
            # The curriculum compares the way walked with the last command: it needs commands that last.
            command_resampling_time=None,
            push=Push(),
            shaping=replace(shaped, terms=(*shaped.terms, level), penalty_ramp_steps=2_000_000, fall=fall),
        ),
        notes=(*(note for note in flat.notes if "resamples" not in note), WALLS),
    )


def played(rough: EnvCfg) -> EnvCfg:
    """Return the ``-Play`` form of a task on rough ground: any level."""
    assert rough.terrain is not None
    return replace(rough, terrain=replace(rough.terrain, flat_steps=0, levels=(0, LEVELS - 1)))
