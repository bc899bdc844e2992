"""Record golden traces of the real Isaac Lab 3.0: states, commands, observations and reward terms, step by step.

What the embedded simulator says of the same states is held against them by
``tests/runtime/simulators/test_golden_traces.py``. Robots are the stand-ins of ``robot_usd.py``. Runs in Isaac Lab's
environment, a process a task, because a simulation starts once a process:

    ISAACSIM_ASSET_ROOT=ASSETS python tests/isaaclab/record_traces.py CASE tests/data/isaaclab3_CASE.npz [STEPS]
"""

from __future__ import annotations

import importlib.metadata
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from stand_ins import anymal_c, opened, small_terrain

LIBRARIES = ("isaaclab", "newton", "mujoco-warp", "warp-lang", "torch")
"""Whose versions a trace names."""

COMMAND = "base_velocity"
WRENCHES = ("front_left_foot", "front_right_foot", "left_back_foot", "right_back_foot")
"""The ant's links whose incoming wrench is observed."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """What is recorded of a task."""

    task: str
    steps: int
    actions: tuple[float, ...]
    """Standard deviation of the random actions, a world each: from a tremble to a fall."""
    bias: tuple[float, ...] = ()
    """Added to all of a world's actions."""
    prepare: Callable[[Any], None] = lambda cfg: None
    """Changes the task's configuration."""
    every_physics_step: bool = False
    """Keep the whole state of every physics step, not of every control step alone."""


def _short_velocity_episodes(cfg: Any) -> None:
    """Let commands, pushes and time-outs come within seconds; see nothing through noise."""
    anymal_c(cfg)
    cfg.episode_length_s = 1.01
    cfg.commands.base_velocity.resampling_time_range = (0.33, 0.33)
    cfg.commands.base_velocity.rel_standing_envs = 0.2
    cfg.commands.base_velocity.rel_heading_envs = 0.8
    cfg.events.push_robot.interval_range_s = (0.3, 0.5)
    cfg.observations.policy.enable_corruption = False


def _rough_ground_everywhere(cfg: Any) -> None:
    """Start on stairs and slopes, not only on the flat top of them."""
    _short_velocity_episodes(cfg)
    small_terrain(cfg)
    cfg.events.reset_base.params["pose_range"] |= {"x": (-2.5, 2.5), "y": (-2.5, 2.5)}


def _falls(cfg: Any) -> None:
    """Start in any attitude, low and high."""
    _short_episodes(cfg)
    about = {axis: (-1.2, 1.2) for axis in ("roll", "pitch")}
    cfg.events.reset_base.params["pose_range"] = about | {"yaw": (-3.1, 3.1), "z": (-0.1, 0.3)}


def _flight(cfg: Any) -> None:
    """Start tilted, a metre above the ground."""
    cfg.events.reset_base.params["pose_range"] = {"z": (1.0, 1.0), "roll": (0.5, 0.5), "yaw": (0.7, 0.7)}


def _short_episodes(cfg: Any) -> None:
    cfg.episode_length_s = 0.81


CASES: dict[str, Case] = {
    "cartpole": Case(
        task="Isaac-Cartpole",
        steps=80,
        actions=(1.0, 1.0, 0.5, 0.5),
        bias=(0.0, 0.0, 0.6, -0.6),
        prepare=_short_episodes,
    ),
    "ant": Case(task="Isaac-Ant", steps=70, actions=(0.3, 1.0, 2.0), prepare=_falls),
    "ant_in_flight": Case(task="Isaac-Ant", steps=3, actions=(0.0, 0.5), prepare=_flight, every_physics_step=True),
    "anymal_c_flat": Case(
        task="IsaacContrib-Velocity-Flat-AnymalC",
        steps=70,
        actions=(0.2, 0.7, 1.5, 3.0),
        prepare=_short_velocity_episodes,
    ),
    "anymal_c_rough": Case(
        task="IsaacContrib-Velocity-Rough-AnymalC", steps=8, actions=(0.5, 0.5, 0.5), prepare=_rough_ground_everywhere
    ),
}


class Recorder:
    """Keeps what an environment shows at three moments: after a physics step, at the rewards, and at the observations.

    Args:
        env: The unwrapped environment.
        every_physics_step: Whether to keep the whole state of each physics step.
    """

    def __init__(self, env: Any, *, every_physics_step: bool = False) -> None:
        self.every_physics_step = every_physics_step
        self.env, self.robot = env, env.scene["robot"]
        self.sensors = env.scene.sensors
        self.steps: dict[str, list[NDArray[Any]]] = {}
        self._physics: dict[str, list[NDArray[Any]]] = {}
        self._update, self._compute = env.scene.update, env.reward_manager.compute
        env.scene.update, env.reward_manager.compute = self._after_physics, self._at_rewards

    def step(self, action: NDArray[np.float32]) -> None:
        """Step the environment and keep all there is."""
        import torch

        self._physics = {}
        observations, *_, extras = self.env.step(torch.as_tensor(action))
        self._keep("action", action)
        for name, values in self._physics.items():
            self._keep(f"physics/{name}", np.stack(values, axis=1))
        for name, values in (self.moment() | self.outcome()).items():
            self._keep(f"after/{name}", values)
        self._keep("observations", _array(observations["policy"]))
        error = extras.get("log", {}).get(f"Metrics/{COMMAND}/error_vel_xy")
        self._keep("logged_error_vel_xy", np.array(np.nan if error is None else float(error)))

    def moment(self) -> dict[str, NDArray[Any]]:
        """Return the robot's state as it is now: before the rewards, or after resets and pushes."""
        data = self.robot.data
        return {
            "joint_pos": _array(data.joint_pos),
            "joint_vel": _array(data.joint_vel),
            "root_pos": _array(data.root_link_pos_w),
            "root_quat": _array(data.root_link_quat_w)[:, [3, 0, 1, 2]],
            "root_lin_vel_w": _array(data.root_link_lin_vel_w),
            "root_ang_vel_b": _array(data.root_link_ang_vel_b),
        }

    def outcome(self) -> dict[str, NDArray[Any]]:
        """Return what the observations show beside the robot: commands as they were steered, rays as they were cast."""
        found = {}
        if COMMAND in self.env.command_manager.active_terms:
            term = self.env.command_manager.get_term(COMMAND)
            found |= {
                "command": _array(term.vel_command_b),
                "heading_target": _array(term.heading_target),
                "is_heading": _array(term.is_heading_env),
                "is_standing": _array(term.is_standing_env),
            }
        if "height_scanner" in self.sensors:
            found["ray_hits"] = _array(self.sensors["height_scanner"].data.ray_hits_w)
        return found

    def _after_physics(self, dt: float) -> None:
        self._update(dt)
        if self.every_physics_step:
            for name, values in (self.moment() | {"wrench": self._wrench()}).items():
                self._physics.setdefault(name, []).append(values)
        if "contact_forces" in self.sensors:
            self._physics.setdefault("joint_vel", []).append(_array(self.robot.data.joint_vel))
            forces = _array(self.sensors["contact_forces"].data.net_normal_forces_w)
            self._physics.setdefault("contact_force", []).append(np.linalg.norm(forces, axis=-1))

    def _at_rewards(self, dt: float) -> Any:
        total = self._compute(dt)
        manager = self.env.reward_manager
        for name, values in self.moment().items():
            self._keep(f"before/{name}", values)
        terms = (self.env.action_manager.get_term(name) for name in self.env.action_manager.active_terms)
        self._keep("target", np.concatenate([_array(term.processed_actions) for term in terms], axis=1))
        self._keep("torque", _array(self.robot.data.applied_torque))
        self._keep("terminated", _array(self.env.termination_manager.terminated))
        self._keep("truncated", _array(self.env.termination_manager.time_outs))
        self._keep("reward_terms", _array(manager._step_reward) * dt)
        self._keep("reward", _array(total))
        if "joint_wrench" in self.sensors:
            self._keep("wrench", self._wrench())
        return total

    def _wrench(self) -> NDArray[Any]:
        """Return force and torque at the joints of :data:`WRENCHES`, each in its joint's frame, (N, links, 6)."""
        sensor = self.sensors["joint_wrench"]
        feet = [sensor.body_names.index(name) for name in WRENCHES]
        return np.concatenate([_array(sensor.data.force), _array(sensor.data.torque)], axis=-1)[:, feet]

    def _keep(self, name: str, values: NDArray[Any]) -> None:
        self.steps.setdefault(name, []).append(values)


def record(name: str, steps: int | None = None) -> dict[str, NDArray[Any]]:
    """Play random actions in a task and return what it showed, with what does not change as JSON under ``about``.

    Args:
        name: A name in :data:`CASES`.
        steps: Control steps; the case's own number when omitted.
    """
    case = CASES[name]
    with opened(case.task, num_envs=len(case.actions), prepare=case.prepare) as env:
        world = env.unwrapped
        first, _ = world.reset(seed=0)
        recorder = Recorder(world, every_physics_step=case.every_physics_step)
        begin = {f"begin/{key}": values for key, values in (recorder.moment() | recorder.outcome()).items()}
        rng, spread = np.random.default_rng(0), np.array(case.actions, np.float32)[:, None]
        bias = np.array(case.bias or (0.0,) * len(case.actions), np.float32)[:, None]
        for _ in range(steps or case.steps):
            shape = (len(spread), world.action_manager.total_action_dim)
            recorder.step(rng.normal(0.0, 1.0, shape).astype(np.float32) * spread + bias)
        return {
            "about": np.array(json.dumps(_about(case, world))),
            "begin/observations": _array(first["policy"]),
            "base_com": _array(world.scene["robot"].data.body_com_pos_b)[:, 0],
            "env_origins": _array(world.scene.env_origins),
            **begin,
            **{key: _narrow(np.stack(values)) for key, values in recorder.steps.items()},
        }


def _about(case: Case, world: Any) -> dict[str, Any]:
    robot, manager = world.scene["robot"], world.reward_manager
    sensors = world.scene.sensors
    command = getattr(world.cfg.commands, COMMAND, None)
    return {
        "task": case.task,
        "versions": {library: importlib.metadata.version(library) for library in LIBRARIES},
        "joint_names": list(robot.joint_names),
        "body_names": list(robot.body_names),
        "contact_bodies": list(sensors["contact_forces"].sensor_names) if "contact_forces" in sensors else [],
        "wrench_bodies": list(WRENCHES) if "joint_wrench" in sensors else [],
        "armature": _array(robot.data.joint_armature)[0].tolist(),
        "damping": _array(robot.data.joint_damping)[0].tolist(),
        "default_joint_pos": _array(robot.data.default_joint_pos)[0].tolist(),
        "soft_joint_pos_limits": _array(robot.data.soft_joint_pos_limits)[0].tolist(),
        "physics_dt": world.physics_dt,
        "decimation": world.cfg.decimation,
        "episode_length_s": world.cfg.episode_length_s,
        "observations": {
            term: list(shape)
            for term, shape in zip(
                world.observation_manager.active_terms["policy"],
                world.observation_manager.group_obs_term_dim["policy"],
                strict=True,
            )
        },
        "rewards": {term: manager.get_term_cfg(term).weight for term in manager.active_terms},
        "resampling_time_s": list(command.resampling_time_range) if command else [],
    }


def _array(values: Any) -> NDArray[Any]:
    found: NDArray[Any] = getattr(values, "torch", values).detach().cpu().numpy().copy()
    return found


def _narrow(values: NDArray[Any]) -> NDArray[Any]:
    return values.astype(np.float32) if values.dtype == np.float64 else values


def main(name: str, path: Path, steps: int | None) -> None:
    """Record a case into a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(path, **record(name, steps))
    print(f"{path}: {path.stat().st_size} bytes")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else None)
