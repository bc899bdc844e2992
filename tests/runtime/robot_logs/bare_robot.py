"""A robot as a robot team would write one: bare MuJoCo, the ONNX file and its contract, and faults to plant in it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import mujoco
import numpy as np
from gaitway_runtime.policies.sessions import open_session
from gaitway_runtime.robot_logs.robot_log import RobotLog, gravity, rotation
from gaitway_runtime.simulators.mujoco.models import build_model

Rows = dict[str, list[np.ndarray]]


@dataclass
class Plant:
    """Faults of the robot and of the node that runs the policy."""

    model: Callable[[mujoco.MjModel], None] = lambda model: None
    """Changes the robot."""
    term: dict[str, Callable[[np.ndarray, mujoco.MjData], np.ndarray]] = field(default_factory=dict)
    """Changes an observation term before the policy sees it, by name."""
    target: Callable[[np.ndarray, np.ndarray], np.ndarray] = lambda target, action: target
    action: Callable[[np.ndarray], np.ndarray] = lambda action: action
    observation_delay: dict[str, int] = field(default_factory=dict)
    target_delay: int = 0
    noise: float = 0.0


def drive(policy: Path, plant: Plant, seconds: float = 8.0, seed: int = 0) -> RobotLog:
    """Walk the robot by the policy and return its log."""
    session = open_session(policy)
    contract = session.contract
    assert contract is not None
    model = build_model(contract.task, visual=False)
    plant.model(model)
    data, random = mujoco.MjData(model), np.random.default_rng(seed)
    names, pose = contract.robot.joint_names, np.asarray(contract.robot.default_joint_pos)
    qpos = np.asarray([int(model.joint(name).qposadr[0]) for name in names])
    dof = np.asarray([int(model.joint(name).dofadr[0]) for name in names])
    drives = np.asarray([model.actuator(name).id for name in names])
    data.qpos[2], data.qpos[qpos] = contract.robot.init_base_height, pose
    mujoco.mj_forward(model, data)
    (term,) = contract.actions
    action, rows, targets = np.zeros(len(names)), {}, []
    past: dict[str, list[np.ndarray]] = {}
    for step in range(round(seconds / contract.timing.control_dt)):
        command = np.asarray([0.7 * np.sin(step / 60), 0.4 * np.cos(step / 45), 0.6 * np.sin(step / 80 + 1)])
        quat, rate = data.qpos[3:7].copy(), data.qvel[3:6].copy()
        base_com = np.asarray(contract.robot.base_com or (0, 0, 0))
        velocity = rotation(quat[None])[0].T @ data.qvel[:3] + np.cross(rate, base_com)
        sensors = {
            "base_lin_vel": velocity,
            "base_ang_vel": rate,
            "projected_gravity": gravity(quat[None])[0],
            "velocity_commands": command,
            "joint_pos": data.qpos[qpos] - pose,
            "joint_vel": data.qvel[dof].copy(),
            "actions": action,
        }
        parts = []
        for part in contract.observations:
            seen = plant.term.get(part.name, lambda values, _: values)(sensors[part.name].copy(), data)
            past.setdefault(part.name, []).append(seen)
            parts.append(past[part.name][max(0, step - plant.observation_delay.get(part.name, 0))])
        observation = np.concatenate(parts)
        observation = (observation + plant.noise * random.standard_normal(len(observation))).astype(np.float32)
        action = plant.action(session.act(observation[None])[0].astype(np.float64))
        target = plant.target(np.asarray(term.offset) + np.asarray(term.scale) * action, action)
        targets.append(target)
        for name, values in {
            "observations": observation,
            "actions": action,
            "targets": target,
            "joint_pos": data.qpos[qpos],
            "joint_vel": data.qvel[dof],
            "base_quat": quat,
            "base_ang_vel": rate,
            "base_lin_vel": velocity,
            "base_pos": data.qpos[:3],
            "command": command,
        }.items():
            rows.setdefault(name, []).append(np.asarray(values, dtype=np.float64).copy())
        data.ctrl[drives] = targets[max(0, step - plant.target_delay)]
        for _ in range(contract.timing.decimation):
            mujoco.mj_step(model, data)
    channels = {name: np.stack(values) for name, values in rows.items()}
    time = np.arange(len(targets)) * contract.timing.control_dt
    return RobotLog(source="bare robot", time=time, joint_names=names, **channels)
