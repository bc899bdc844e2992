"""The embedded simulator with a recorded trace of Isaac Lab in the place of its physics and its dice.

Physics, resets, pushes and the draws of commands come from the trace; everything else (kinematics, contact times,
terms, their order within a step, episode counters, heading control) is the environment's own.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from gaitway_runtime.simulators.mujoco.commands import VelocityCommands
from gaitway_runtime.simulators.mujoco.engine import Engine, Ids, Physics, Start
from gaitway_runtime.simulators.mujoco.env import MujocoEnv
from gaitway_runtime.tasks.environment import EnvCfg
from gaitway_runtime.tasks.state import State
from numpy.typing import NDArray

Array = NDArray[Any]


@dataclass(frozen=True)
class Trace:
    """What ``tests/isaaclab/record_traces.py`` recorded. T steps, N worlds, J joints in the recorded order."""

    arrays: dict[str, Array]
    about: dict[str, Any]

    @staticmethod
    def read(path: Path) -> Trace:
        """Read a trace from its file."""
        with np.load(path) as file:
            arrays = {name: file[name] for name in file.files}
        return Trace(arrays, json.loads(str(arrays.pop("about"))))

    @cached_property
    def steps(self) -> int:
        """Control steps, T."""
        return len(self.arrays["action"])

    def order(self, joint_names: tuple[str, ...]) -> list[int]:
        """Return where each joint of another order is in the recorded one."""
        return [self.about["joint_names"].index(name) for name in joint_names]

    def action_order(self, joint_names: tuple[str, ...]) -> list[int]:
        """Return where each driven joint is among the recorded actions: all joints are driven, or one is."""
        return self.order(joint_names) if len(joint_names) > 1 else [0]

    def __getitem__(self, name: str) -> Array:
        return self.arrays[name]


class Replay:
    """An environment that lives through a trace.

    Args:
        task: The task, whose episode length and time between commands become the recorded ones.
        trace: The trace.
        physics: What would step its worlds.
    """

    def __init__(self, task: EnvCfg, trace: Trace, physics: Physics | None = None) -> None:
        about = trace.about
        if task.command:
            bounds = tuple(about["resampling_time_s"])
            task = replace(task, command=replace(task.command, resampling_time=bounds))
        task = replace(task, episode_length_s=about["episode_length_s"])
        self.trace, self.now = trace, -1
        self.targets: list[Array] = []
        """What the physics was asked for in each step, (N, actuators)."""
        self.env = MujocoEnv(
            task, num_envs=trace["action"].shape[1], training=False, seed=0, nthread=1, physics=physics
        )
        self.engine: Engine = self.env.engine
        self.joints = trace.order(self.engine.spec.joint_names)
        self.engine.base_com[:] = trace["base_com"] if self.engine.spec.base else 0.0
        self.batch, self.restart = self.engine.batch, self.engine.restart
        self.engine.batch, self.engine.restart = _Batch(self), self._restart  # type: ignore[assignment,method-assign]
        self.env._pushes = _Pushes(self)  # type: ignore[assignment]
        if self.env._commands:
            self.env._commands = _Commands(self, task)
            self.env.state.command = self.env._commands.command
        if self.env.state.terrain:
            self.env.state.terrain = _Rays(self)  # type: ignore[assignment]
        self._begin(np.arange(self.env.num_envs))

    def _begin(self, ids: Ids) -> None:
        self._restart(self.env.state, ids)
        if self.env._commands:
            self.env._commands.resample(ids)
        self.env._measure_target_of(ids)

    def close(self) -> None:
        """Release the environment."""
        del self.batch, self.restart
        self.env.close()

    def first_observations(self) -> Array:
        """Return the observations before the first step."""
        return self.env._observe()["policy"]

    def step(self) -> Any:
        """Live through the next step of the trace."""
        self.now += 1
        order = self.trace.action_order(self.env.cfg.action.joint_names)
        return self.env.step(self.trace["action"][self.now][:, order])

    def at(self, moment: str, name: str) -> Array:
        """Return a recorded quantity ``before`` the rewards of this step or ``after`` all of it."""
        return self.trace[f"begin/{name}"] if self.now < 0 else self.trace[f"{moment}/{name}"][self.now]

    def positions(self, moment: str) -> Array:
        """Return MuJoCo's ``qpos`` as recorded, (N, nq)."""
        found = np.zeros(self.engine.qpos.shape)
        found[:, self.engine.layout.joint_qpos] = self.at(moment, "joint_pos")[:, self.joints]
        if self.engine.spec.base:
            place = self.at(moment, "root_pos")
            if self.env.cfg.target:  # relative to the world's own origin, from which the target is far
                place = place - self.trace["env_origins"]
            found[:, :7] = np.column_stack((place, self.at(moment, "root_quat")))
        return found

    def velocities(self, moment: str) -> Array:
        """Return MuJoCo's ``qvel`` as recorded, (N, nv)."""
        found = np.zeros(self.engine.qvel.shape)
        found[:, self.engine.layout.joint_dof] = self.at(moment, "joint_vel")[:, self.joints]
        if self.engine.spec.base:
            found[:, :6] = np.column_stack((self.at(moment, "root_lin_vel_w"), self.at(moment, "root_ang_vel_b")))
        return found

    def _restart(self, state: State, ids: Ids, drawn: Start | None = None) -> None:
        """Start episodes as recorded: :meth:`Engine.restart`, whatever start was drawn."""
        qpos, qvel, layout = self.positions("after")[ids], self.velocities("after")[ids], self.engine.layout
        start = Start(qpos[:, layout.joint_qpos], qvel[:, layout.joint_dof])
        if self.engine.spec.base:
            start = replace(start, root_pose=qpos[:, :7], root_vel=qvel[:, :6])
        self.restart(state, ids, start)


class _Batch:
    """The physics: what a control step leaves behind is the trace's."""

    def __init__(self, replay: Replay) -> None:
        self._replay = replay

    def __getattr__(self, name: str) -> Any:
        return getattr(self._replay.batch, name)

    def step(self, nstep: int) -> None:
        replay = self._replay
        replay.targets.append(replay.engine.ctrl.copy())
        replay.engine.qpos[:] = replay.positions("before")
        replay.engine.qvel[:] = replay.velocities("before")
        wrenched = replay.engine.spec.wrench_bodies
        if wrenched:
            rows = [replay.trace.about["wrench_bodies"].index(body) for body in wrenched]
            wrench = replay.trace["wrench"][replay.now][:, rows]
            replay.engine._sensordata = np.zeros((len(wrench), replay.engine.model.nsensordata))
            replay.engine._sensordata[:, replay.engine.layout.wrench] = wrench.reshape(len(wrench), -1)

    def rollout(self, nstep: int, *, record: tuple[str, ...], out: dict[str, Array]) -> None:
        replay, trace = self._replay, self._replay.trace
        self.step(nstep)
        replay.env.state.applied_torque = trace["torque"][replay.now][:, replay.joints]
        joint_vel = trace["physics/joint_vel"][replay.now][:, :, replay.joints]
        out["qvel"][:, :, replay.engine.layout.joint_dof] = joint_vel
        out["sensordata"][:] = 0.0
        bodies = [body for group in replay.engine.spec.contact_bodies.values() for body in group]
        for number, body in enumerate(bodies):
            force = trace["physics/contact_force"][replay.now][:, :, trace.about["contact_bodies"].index(body)]
            out["sensordata"][:, :, 3 * number + 2] = force


class _Pushes:
    """Whatever changes velocities between rewards and observations."""

    def __init__(self, replay: Replay) -> None:
        self._replay = replay

    def restart(self, ids: Ids) -> None:
        pass

    def update(self, engine: Engine, state: State) -> None:
        engine.qvel[:] = self._replay.velocities("after")
        engine.read_motion_of(state, np.arange(len(engine.qvel)))


class _Commands(VelocityCommands):
    """The environment's commands, drawn as recorded."""

    def __init__(self, replay: Replay, task: EnvCfg) -> None:
        assert task.command is not None
        super().__init__(task.command, replay.env.num_envs, task.step_dt, np.random.default_rng(0))
        self._replay = replay

    def resample(self, ids: Ids) -> None:
        self.time_left[ids] = self.cfg.resampling_time[0]
        for name in ("heading_target", "is_heading", "is_standing", "command"):
            getattr(self, name)[ids] = self._replay.at("after", name)[ids]
        if self._replay.now >= 0:
            self.command[self.is_heading, 2] = 0.0  # what the heading control has made of it is not to be copied


class _Rays:
    """The ground as the recorded rays hit it; it knows no other place."""

    def __init__(self, replay: Replay) -> None:
        self._replay = replay

    def height_around(self, x: Array, y: Array, heading: Array, grid: Array) -> Array:
        hits = self._replay.at("after", "ray_hits")
        cos, sin = np.cos(heading)[:, None], np.sin(heading)[:, None]
        across = x[:, None] + cos * grid[0] - sin * grid[1], y[:, None] + sin * grid[0] + cos * grid[1]
        np.testing.assert_allclose(np.stack(across, axis=-1), hits[..., :2], atol=1e-4)
        return hits[..., 2].astype(np.float32)
