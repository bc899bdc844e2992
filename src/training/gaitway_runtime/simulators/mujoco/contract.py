"""The policy contract of a task of the embedded simulator, read from the task and the compiled model."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import mujoco
import numpy as np

from ...policies.contract import ActionTerm, ObservationTerm, PolicyContract, Robot, Timing
from .engine import CONTACT_HISTORY, CONTACT_THRESHOLD
from .mdp.observations import SCAN_X, SCAN_Y
from .models import RobotSpec, mjcf, terrain_of
from .state import Array
from .tasks.cfg import Action, Observation, Task
from .terrain import KIND_NAMES, LEVELS


def build_contract(task: Task, model: mujoco.MjModel, spec: RobotSpec) -> PolicyContract:
    """Return what a deployer must know of a policy of this task.

    The timing is the task's own, at which policies are evaluated; training may use a coarser physics step.
    """
    return PolicyContract(
        task=task.name.replace("-Play", ""),
        simulator=f"mujoco {mujoco.__version__}",
        observations=_observations(task.observations, spec),
        actions=(_action(task.action, spec),),
        timing=Timing(physics_dt=task.physics_dt, decimation=task.decimation, control_dt=task.step_dt),
        robot=_robot(task, model, spec),
        commands=_commands(task),
        terminations={"time_out_s": task.episode_length_s, "terms": [term.name for term in task.terminations]},
        contacts=_contacts(model, spec),
        randomization=_randomization(task),
        conventions=_conventions(task),
    )


def _conventions(task: Task) -> Mapping[str, Any]:
    found: dict[str, Any] = {
        "quaternion": "wxyz",
        "base_velocity": "centre of mass of the base, in the base frame",
        "gravity": "unit vector",
        "joint_order": "breadth first, as Isaac Lab",
        "notes": list(task.notes),
    }
    if task.terrain:
        found["height_scan"] = {
            "points": [len(SCAN_X), len(SCAN_Y)],
            "size_m": [float(np.ptp(SCAN_X)), float(np.ptp(SCAN_Y))],
            "order": "x fastest",
            "frame": "base, yaw only",
            "value": "base height - ground height - offset",
        }
        found["terrain"] = {"kinds": list(KIND_NAMES), "levels": LEVELS}
    return found


def action_offset(action: Action, spec: RobotSpec) -> Array:
    """Return what is added to the scaled action, one entry per joint of the action."""
    default = dict(zip(spec.joint_names, spec.default_joint_pos, strict=True))
    return np.array([default[joint] if action.default_offset else 0.0 for joint in action.joint_names])


def _observations(terms: tuple[Observation, ...], spec: RobotSpec) -> tuple[ObservationTerm, ...]:
    found, start = [], 0
    for term in terms:
        found.append(
            ObservationTerm(
                name=term.name,
                start=start,
                stop=start + term.size,
                units=term.units,
                frame=term.frame,
                scale=term.scale,
                clip=term.clip,
                noise=term.noise,
                joint_names=spec.joint_names if term.per_joint else (),
            )
        )
        start += term.size
    return tuple(found)


def _action(action: Action, spec: RobotSpec) -> ActionTerm:
    size = len(action.joint_names)
    return ActionTerm(
        name="joint_pos" if action.kind == "joint_position" else "joint_effort",
        kind=action.kind,
        start=0,
        stop=size,
        joint_names=action.joint_names,
        scale=(action.scale,) * size,
        offset=tuple(action_offset(action, spec).tolist()),
    )


def _robot(task: Task, model: mujoco.MjModel, spec: RobotSpec) -> Robot:
    joints = [model.joint(name) for name in spec.joint_names]
    bodies = [model.body(number) for number in range(1, model.nbody)]
    count = len(joints)
    limits = [joint.range.tolist() if joint.limited[0] else [-np.pi, np.pi] for joint in joints]
    return Robot(
        name=spec.name,
        joint_names=spec.joint_names,
        default_joint_pos=spec.default_joint_pos,
        joint_pos_limits=tuple((low, high) for low, high in limits),
        stiffness=(spec.stiffness,) * count,
        damping=tuple(spec.damping + float(joint.damping[0]) for joint in joints),
        armature=tuple(float(joint.armature[0]) for joint in joints),
        effort_limits=(spec.effort_limit,) * count if np.isfinite(spec.effort_limit) else (),
        actuator=spec.actuator,
        body_names=tuple(body.name for body in bodies),
        body_masses=tuple(float(body.mass[0]) for body in bodies),
        base_com=tuple(model.body(spec.base).ipos.tolist()) if spec.base else None,
        init_base_height=spec.init_height,
        soft_limit_factor=spec.soft_limit_factor,
        model_sha256=_model_sha256(task),
    )


def _model_sha256(task: Task) -> str:
    terrain = terrain_of(task)
    digest = hashlib.sha256(mjcf(task.robot, timestep=task.physics_dt, terrain=terrain).encode())
    if terrain:
        digest.update(terrain.heights.tobytes())
    return digest.hexdigest()


def _commands(task: Task) -> Mapping[str, Any]:
    command = task.command
    if command is None:
        return {}
    return {
        "base_velocity": {
            "names": ["lin_vel_x", "lin_vel_y", "ang_vel_z"],
            "units": ["m/s", "m/s", "rad/s"],
            "ranges": [list(command.lin_vel_x), list(command.lin_vel_y), list(command.ang_vel_z)],
            "heading_stiffness": command.heading_stiffness,
            "rel_heading_envs": command.rel_heading_envs,
            "rel_standing_envs": command.rel_standing_envs,
            "resampling_time_s": list(command.resampling_time),
        }
    }


def _contacts(model: mujoco.MjModel, spec: RobotSpec) -> Mapping[str, Any]:
    robot_geoms = np.flatnonzero(model.geom_bodyid > 0)
    return {
        "friction": float(model.geom_friction[robot_geoms, 0].max()),
        "self_collision": False,
        "force_threshold_n": CONTACT_THRESHOLD,
        "force_history_physics_steps": CONTACT_HISTORY,
        "groups": {group: list(bodies) for group, bodies in spec.contact_bodies.items()},
    }


def _randomization(task: Task) -> Mapping[str, Any]:
    training = task.training
    found: dict[str, Any] = {}
    if training.randomization:
        found["base_mass_kg"] = list(training.randomization.base_mass)
        found["base_com_m"] = list(training.randomization.base_com)
        found["stiffness_factor"] = list(training.randomization.stiffness)
        found["damping_factor"] = list(training.randomization.damping)
        found["friction_factor"] = list(training.randomization.friction)
    if training.push:
        found["push_velocity_m_s"] = list(training.push.velocity)
        found["push_interval_s"] = list(training.push.interval)
    return found
