"""Expected observations of a log, by its sensors and the policy's contract."""

from __future__ import annotations

import numpy as np

from ..spec.contract import ObservationTerm, PolicyContract
from .robot_log import Array, RobotLog, gravity, rotation


def expected_term(log: RobotLog, contract: PolicyContract, term: ObservationTerm) -> Array | None:
    """Return what a term should have been, (T, size), from the sensors; None where the log does not have them."""
    raw = _sensor(log, contract, term.name)
    if raw is None or raw.shape[1] != term.stop - term.start:
        return None
    return _processed(raw, contract, term)


def _sensor(log: RobotLog, contract: PolicyContract, name: str) -> Array | None:
    """Return the sensor channel that a term is made of, before offset and scale."""
    match name:
        case "base_lin_vel":
            return log.base_lin_vel
        case "base_ang_vel":
            return log.base_ang_vel
        case "projected_gravity":
            return None if log.base_quat is None else gravity(log.base_quat)
        case "velocity_commands" | "commands":
            return log.command
        case "joint_pos" | "joint_pos_rel":
            return log.joint_pos
        case "joint_vel" | "joint_vel_rel":
            return log.joint_vel
        case "actions" | "last_action":
            return None if log.actions is None else _previous(log.actions)
    return None


def _previous(values: Array) -> Array:
    return np.concatenate([np.zeros_like(values[:1]), values[:-1]])


def _processed(raw: Array, contract: PolicyContract, term: ObservationTerm) -> Array:
    """Apply a term's offset, scale and clip."""
    offset = np.asarray(term.offset) if len(term.offset) else default_pose(contract, term)
    scale = np.asarray(term.scales) if len(term.scales) else np.asarray(term.scale)
    values: Array = raw - offset
    if term.clip:
        values = np.clip(values, *term.clip)
    scaled: Array = values * scale
    return scaled


def default_pose(contract: PolicyContract, term: ObservationTerm) -> Array:
    """Return what joint positions are measured from, where a contract of the first schema leaves it out."""
    if term.name in ("joint_pos", "joint_pos_rel"):
        pose = dict(zip(contract.robot.joint_names, contract.robot.default_joint_pos, strict=True))
        return np.asarray([pose.get(name, 0.0) for name in term.joint_names or contract.robot.joint_names])
    return np.zeros(1)


def likely_mistakes(log: RobotLog, contract: PolicyContract, term: ObservationTerm) -> dict[str, Array]:
    """Return what a term may hold by mistake, by the mistake's name."""
    found: dict[str, Array] = {}
    raw = _sensor(log, contract, term.name)
    if raw is None:
        return found
    if term.name in ("base_lin_vel", "base_ang_vel") and log.base_quat is not None:
        world = np.einsum("tij,tj->ti", rotation(log.base_quat), raw)
        found["frame"] = _processed(world, contract, term)
    if term.name == "projected_gravity" and log.base_quat is not None:
        found["quaternion"] = gravity(log.base_quat[:, [3, 0, 1, 2]])
        found["inverse"] = -rotation(log.base_quat)[:, :, 2]
    if term.name in ("actions", "last_action"):
        if log.targets is not None:
            found["targets"] = _previous(log.targets)
        if log.actions is not None:
            found["undelayed"] = log.actions
    return found
