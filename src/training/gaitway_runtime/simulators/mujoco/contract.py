"""Policy contract and mirror symmetries of a task of the embedded simulator, read from the task and the model."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import mujoco
import numpy as np

from ...spec.contract import LAST_ACTION, QUANTITIES, ActionTerm, ObservationTerm, PolicyContract, Robot, Timing
from ...tasks.arrays import Array
from ...tasks.environment import Action, EnvCfg, Observation, PoseCommand
from ...tasks.mdp.observations import SCAN_X, SCAN_Y
from ...tasks.mirrors import RobotMirror
from ...tasks.robots import RobotSpec
from ...tasks.terrain import KIND_NAMES, LEVELS
from ..base import Mirror, SignedPermutation
from .engine import CONTACT_HISTORY, CONTACT_THRESHOLD
from .managers import CRITIC, POLICY
from .models import mjcf, terrain_of

DRIVES: Mapping[str, str] = {
    "implicit_pd": "effort = clip(stiffness * (target - position) - damping * velocity, effort_limit)",
    "effort": "effort = clip(target, effort_limit) - damping * velocity",
}
"""Formula of the drive by the kind of actuator; integrated implicitly in the velocity."""


def build_contract(task: EnvCfg, model: mujoco.MjModel, spec: RobotSpec, simulator: str) -> PolicyContract:
    """Return what a deployer must know of a policy of this task.

    The timing is the task's own, at which policies are evaluated; training may use a coarser physics step.

    Args:
        task: The task.
        model: Its robot's model.
        spec: What is known of the robot beside it.
        simulator: Name and release of what steps the model.
    """
    return PolicyContract(
        task=task.name.replace("-Play", ""),
        simulator=simulator,
        observations=_observations(task, spec),
        actions=(_action(task.action, spec),),
        timing=Timing(physics_dt=task.physics_dt, decimation=task.decimation, control_dt=task.step_dt),
        robot=_robot(task, model, spec),
        commands=_commands(task),
        terminations={"time_out_s": task.episode_length_s, "terms": [term.name for term in task.terminations]},
        contacts=_contacts(model, spec),
        randomization=_randomization(task),
        conventions=_conventions(task),
    )


def _conventions(task: EnvCfg) -> Mapping[str, object]:
    found: dict[str, object] = {
        "quaternion": "wxyz",
        "base_velocity": "centre of mass of the base, in the base frame",
        "base_frame": "x forward, y left, z up",
        "gravity": "unit vector in the base frame, (0, 0, -1) when upright",
        "last_action": LAST_ACTION,
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


def _observations(task: EnvCfg, spec: RobotSpec) -> tuple[ObservationTerm, ...]:
    found, start = [], 0
    for term in task.observations:
        quantity = QUANTITIES.get(_function_of(term).__name__, "")
        commanded = quantity == "velocity_command"
        if commanded and isinstance(task.command, PoseCommand):
            quantity = "pose_command"
        found.append(
            ObservationTerm(
                name=term.name,
                start=start,
                stop=start + term.size,
                units=term.units,
                frame=term.frame,
                quantity=quantity,
                scale=term.scale,
                offset=_offset(quantity, term, spec),
                command=next(iter(_commands(task)), "") if commanded else "",
                parameters=_parameters(quantity, term, spec),
                clip=term.clip,
                noise=term.noise,
                joint_names=spec.joint_names if term.per_joint else (),
            )
        )
        start += term.size
    return tuple(found)


def _function_of(term: Observation) -> Any:
    return term.func.func if isinstance(term.func, functools.partial) else term.func


def _offset(quantity: str, term: Observation, spec: RobotSpec) -> tuple[float, ...]:
    """Return what the values are measured from: for joint positions the default pose."""
    return tuple(spec.default_joint_pos) if quantity == "joint_position" and term.per_joint else ()


def _parameters(quantity: str, term: Observation, spec: RobotSpec) -> Mapping[str, object]:
    """Return the numbers that a quantity needs beside the robot's state."""
    found = dict(term.func.keywords) if isinstance(term.func, functools.partial) else {}
    if quantity == "contact_wrench":
        found["bodies"] = list(spec.wrench_bodies)
    if quantity == "height_scan":
        found |= {"x_m": SCAN_X.tolist(), "y_m": SCAN_Y.tolist(), "order": "x fastest"}
        if spec.scan_joint:
            found["turned_by"] = spec.scan_joint
    return {name: list(value) if isinstance(value, tuple) else value for name, value in found.items()}


def _action(action: Action, spec: RobotSpec) -> ActionTerm:
    size = len(action.joint_names)
    return ActionTerm(
        name="joint_pos" if action.kind == "joint_position" else "joint_effort",
        kind=action.kind,
        start=0,
        stop=size,
        joint_names=action.joint_names,
        scale=action.scales,
        offset=tuple(action_offset(action, spec).tolist()),
        units="rad" if action.kind == "joint_position" else "N m",
    )


def _robot(task: EnvCfg, model: mujoco.MjModel, spec: RobotSpec) -> Robot:
    joints = [model.joint(name) for name in spec.joint_names]
    bodies = [model.body(number) for number in range(1, model.nbody) if model.body_mocapid[number] < 0]
    count = len(joints)
    limits = [joint.range.tolist() if joint.limited[0] else [-np.pi, np.pi] for joint in joints]
    return Robot(
        name=spec.name,
        joint_names=spec.joint_names,
        default_joint_pos=spec.default_joint_pos,
        joint_pos_limits=tuple((low, high) for low, high in limits),
        stiffness=tuple(np.array(spec.stiffness or (0.0,) * count) + [float(joint.stiffness[0]) for joint in joints]),
        damping=tuple(np.array(spec.damping or (0.0,) * count) + [float(joint.damping[0]) for joint in joints]),
        armature=tuple(float(joint.armature[0]) for joint in joints),
        effort_limits=spec.effort_limits,
        actuator=spec.actuator,
        drive=DRIVES.get(spec.actuator, ""),
        body_names=tuple(body.name for body in bodies),
        body_masses=tuple(float(body.mass[0]) for body in bodies),
        base_com=tuple(model.body(spec.base).ipos.tolist()) if spec.base else None,
        init_base_height=spec.init_height,
        soft_limit_factor=spec.soft_limit_factor,
        model_sha256=_model_sha256(task),
    )


def _model_sha256(task: EnvCfg) -> str:
    terrain = terrain_of(task)
    digest = hashlib.sha256(mjcf(task.robot, timestep=task.physics_dt, terrain=terrain).encode())
    if terrain:
        digest.update(terrain.heights.tobytes())
        if terrain.columns is not None:
            digest.update(terrain.columns.tobytes())
    return digest.hexdigest()


def _commands(task: EnvCfg) -> Mapping[str, object]:
    command = task.command
    if command is None:
        return {}
    if isinstance(command, PoseCommand):
        return {
            "ee_pose": {
                "names": ["pos_x", "pos_y", "pos_z", "quat_w", "quat_x", "quat_y", "quat_z"],
                "units": ["m", "m", "m", "", "", "", ""],
                "ranges": [list(bounds) for bounds in (command.pos_x, command.pos_y, command.pos_z)],
                "roll_pitch_yaw_ranges": [list(bounds) for bounds in (command.roll, command.pitch, command.yaw)],
                "resampling_time_s": list(command.resampling_time),
            }
        }
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


def _contacts(model: mujoco.MjModel, spec: RobotSpec) -> Mapping[str, object]:
    robot_geoms = np.flatnonzero(model.geom_bodyid > 0)
    return {
        "friction": float(model.geom_friction[robot_geoms, 0].max(initial=0.0)),
        "self_collision": False,
        "force_threshold_n": CONTACT_THRESHOLD,
        "force_history_physics_steps": CONTACT_HISTORY,
        "groups": {group: list(bodies) for group, bodies in spec.contact_bodies.items()},
    }


def _randomization(task: EnvCfg) -> Mapping[str, object]:
    training = task.training
    found: dict[str, object] = {}
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


def mirrors(task: EnvCfg, spec: RobotSpec) -> tuple[Mirror, ...]:
    """Return the mirrors of a task: those of its robot, none where a term does not say how it is mirrored."""
    groups = {POLICY: task.observations, CRITIC: (*task.observations, *task.training.privileged)}
    if not all(term.per_joint or term.mirrored for terms in groups.values() for term in terms):
        return ()
    return tuple(
        Mirror(
            name=mirror.name,
            observations={group: _joined([_term(term, mirror) for term in terms]) for group, terms in groups.items()},
            actions=_mirrored_action(task, spec, mirror),
        )
        for mirror in spec.mirrors
    )


def _term(term: Observation, mirror: RobotMirror) -> SignedPermutation:
    x, y, _ = mirror.axes
    if term.per_joint:
        return _joints(mirror.joints)
    if term.mirrored == "scan":
        return _scan(mirror.axes)
    if term.mirrored == "feet":
        return SignedPermutation(np.array(mirror.feet), np.ones(len(mirror.feet), np.float32))
    turned = _rotation(mirror.axes)
    signs = {
        "vector": mirror.axes,
        "rotation": turned,
        "command": (x, y, turned[2]),
        "unchanged": (1,) * term.size,
    }
    return _signs(signs[term.mirrored])


def _mirrored_action(task: EnvCfg, spec: RobotSpec, mirror: RobotMirror) -> SignedPermutation:
    """Mirror the action's joints, which may be some of the robot's."""
    place = {spec.joint_names.index(name): k for k, name in enumerate(task.action.joint_names)}
    return _joints([(place[mirror.joints[j][0]], mirror.joints[j][1]) for j in place])


def _rotation(axes: tuple[int, int, int]) -> tuple[int, int, int]:
    """Signs of a rotation vector: the determinant of the mirror times those of a plain one."""
    x, y, z = axes
    return (y * z, x * z, x * y)


def _signs(signs: Sequence[int]) -> SignedPermutation:
    return SignedPermutation(np.arange(len(signs)), np.array(signs, np.float32))


def _joints(joints: Sequence[tuple[int, int]]) -> SignedPermutation:
    return SignedPermutation(np.array([index for index, _ in joints]), np.array([s for _, s in joints], np.float32))


def _scan(axes: tuple[int, int, int]) -> SignedPermutation:
    """The height scan's grid has x running fastest; a mirror turns its axes around."""
    grid = np.arange(len(SCAN_Y) * len(SCAN_X)).reshape(len(SCAN_Y), len(SCAN_X))
    index = grid[:: axes[1], :: axes[0]].ravel()
    return SignedPermutation(index, np.ones(len(index), np.float32))


def _joined(parts: list[SignedPermutation]) -> SignedPermutation:
    starts = np.cumsum([0, *(len(part.index) for part in parts)])[:-1]
    return SignedPermutation(
        np.concatenate([start + part.index for start, part in zip(starts, parts, strict=True)]),
        np.concatenate([part.sign for part in parts]),
    )
