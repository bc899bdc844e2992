"""The environment: a task on the engine, in Isaac Lab's order of events.

One step is: actions, physics, episode counters, terminations, rewards (old command, state before any reset), resets,
commands, pushes, observations.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ...policies.contract import PolicyContract
from ..base import Mirror, Transition
from .contract import action_offset, build_contract
from .engine import Engine, Ids
from .mdp.commands import VelocityCommands
from .mdp.curriculum import TerrainLevels
from .mdp.events import Pushes, Starts, randomize
from .models import compile_robot, robot_spec, terrain_of
from .observing import Observations
from .rewarding import Rewards
from .state import Array, State
from .tasks.cfg import Push, Randomization, Task
from .tasks.symmetry import mirrors


@dataclass(frozen=True)
class _Variations:
    """What differs from the nominal world, in training and where an evaluation asks for it."""

    noise: bool = False
    push: Push | None = None
    randomization: Randomization | None = None


class MujocoEnv:
    """A batch of worlds of one task; see :class:`gaitway_runtime.simulators.base.Env`.

    Args:
        task: The task.
        num_envs: Worlds, N.
        training: Whether to add noise, randomisation, pushes and what else the task's training block holds.
        seed: Seed of everything random.
        shaping: Whether training adds the task's shaping to its rewards.
        nthread: Threads to step on; 0 for one per available CPU. Results do not depend on it.
    """

    def __init__(
        self, task: Task, *, num_envs: int, training: bool, seed: int, shaping: bool = True, nthread: int = 0
    ) -> None:
        self.cfg, self.task, self.num_envs = task, task.name, num_envs
        self.num_actions = len(task.action.joint_names)
        self.max_episode_length, self.step_dt = task.max_episode_length, task.step_dt
        self.env_steps = 0
        """Environment steps since training began, over all worlds; a resumed training sets it, a reset does not."""
        self.mirrors: Sequence[Mirror] = mirrors(task)
        self._training = training
        self._randomized = training and not task.play
        self._shaping = task.training.shaping if training and shaping else None
        self._build_physics(nthread)
        self._contract = build_contract(task, self.engine.model, robot_spec(task.robot))
        self._build_random_parts(seed)
        self.observation_sizes: Mapping[str, int] = self._observations.sizes

    @property
    def contract(self) -> PolicyContract:
        """The policy contract: what the policy sees and what its outputs mean here."""
        return self._contract

    @property
    def episode_length(self) -> NDArray[np.int64]:
        """Control steps of each world's episode so far, (N,). Writable: a learner may spread its first episodes."""
        return self.state.episode_length

    @episode_length.setter
    def episode_length(self, steps: NDArray[np.int64]) -> None:
        self.state.episode_length[:] = steps

    def set_gains(self, stiffness: Sequence[float], damping: Sequence[float]) -> bool:
        """See :class:`gaitway_runtime.simulators.base.TakesGains`."""
        if self.engine.spec.actuator != "implicit_pd":
            return False
        self.engine.set_gains(stiffness, damping)
        return True

    def reset(self, seed: int | None = None) -> Mapping[str, NDArray[np.float32]]:
        """Start a new episode in every world and return the first observations."""
        if seed is not None:
            self._build_random_parts(seed)
        # As in Isaac Lab, commands are first steered after the first step: until then they are as drawn.
        self._restart(np.arange(self.num_envs), np.zeros(self.num_envs, np.bool_))
        return self._observe()

    def step(self, actions: NDArray[np.float32]) -> Transition:
        """Apply raw policy outputs, shape (N, num_actions), for one control step."""
        state = self.state
        state.previous_action = state.action
        state.action = np.array(actions, np.float64)
        np.multiply(state.action, self._action_scale, out=self.engine.ctrl)
        self.engine.ctrl += self._action_offset
        diverged = self.engine.advance(state)
        self._measure_target()
        state.episode_length += 1
        self.env_steps += self.num_envs

        causes, truncated = self._terminate(diverged)
        rewards = self._rewards.compute(state, diverged, self.env_steps)
        diagnostics = {name: func(state).astype(np.float32) for name, func in self.cfg.diagnostics}
        terminated = state.terminated.copy()
        done = np.flatnonzero(terminated | truncated)
        log: dict[str, float] = {}
        if done.size:
            if self._ground:
                log.update(self._ground.choose(done[~diverged[done]], state, self.cfg.episode_length_s, self.env_steps))
            log.update(self._restart(done, diverged))
            log.update((f"Episode_Termination/{name}", float(cause[done].sum())) for name, cause in causes.items())
        if self._commands:
            self._commands.update(state)
        if self._pushes:
            self._pushes.update(self.engine, state)
        return Transition(
            observations=self._observe(),
            rewards=rewards.total,
            task_rewards=rewards.task,
            terminated=terminated,
            truncated=truncated,
            reward_terms=rewards.terms,
            diagnostics=diagnostics,
            diverged=diverged,
            log=log,
        )

    def snapshot(self) -> NDArray[np.float64]:
        """Return the positions that a replay needs, shape (N, nq), as a copy."""
        return self.engine.qpos.copy()

    def close(self) -> None:
        """Release threads and memory; further calls are errors."""
        self.engine.close()
        del self.state

    def _build_physics(self, nthread: int) -> None:
        task, spec = self.cfg, robot_spec(self.cfg.robot)
        timestep, decimation = task.physics_dt, task.decimation
        if self._training:
            timestep, decimation = task.training.physics_dt or timestep, task.training.decimation or decimation
        self._terrain = terrain_of(task)
        model = compile_robot(task.robot, timestep=timestep, terrain=self._terrain)
        if not self._training:
            model.geom_friction[model.geom_bodyid > 0, 0] *= task.conditions.friction_scale
        self.engine = Engine(model, spec, self.num_envs, decimation, nthread)
        self.state = State(step_dt=self.step_dt, max_episode_length=self.max_episode_length)
        self.engine.attach(self.state)
        self.state.action = np.zeros((self.num_envs, self.num_actions))
        self.state.previous_action = np.zeros((self.num_envs, self.num_actions))
        self.state.episode_length = np.zeros(self.num_envs, np.int64)
        self.state.terminated = np.zeros(self.num_envs, np.bool_)
        self.state.target_distance = np.zeros(self.num_envs)
        self._action_scale = task.action.scale
        self._action_offset = action_offset(task.action, spec)

    def _build_random_parts(self, seed: int) -> None:
        """Make everything that draws, each part on a stream of its own: noise on or off changes no command."""
        task, training = self.cfg, self.cfg.training
        streams = [np.random.default_rng(child) for child in np.random.SeedSequence(seed).spawn(6)]
        starts, commands, pushes, noise, worlds, levels = streams
        self._starts = Starts(task.reset, self.engine.spec, self.state, starts)
        varied = self._variations()
        if varied.randomization:
            randomize(self.engine, varied.randomization, worlds)
        self._commands = None
        if task.command:
            cfg = task.command
            if self._training and training.command_resampling_time:
                cfg = replace(cfg, resampling_time=training.command_resampling_time)
            self._commands = VelocityCommands(cfg, self.num_envs, self.step_dt, commands)
            self.state.command = self._commands.command
        self._ground = None
        if task.terrain and self._terrain:
            self._ground = TerrainLevels(
                task.terrain, self._terrain, self.num_envs, training=self._randomized, rng=levels
            )
            self.state.terrain = self._terrain
            self.state.terrain_level, self.state.terrain_kind = self._ground.levels, self._ground.kinds
        self._pushes = None
        if varied.push:
            self._pushes = Pushes(varied.push, self.num_envs, self.step_dt, pushes)
        self._rewards = Rewards(task.rewards, self._shaping, self.step_dt, self.num_envs)
        privileged = training.privileged if self._training else ()
        self._observations = Observations(task.observations, privileged, noise if varied.noise else None)

    def _variations(self) -> _Variations:
        if self._training:
            block = self.cfg.training
            return _Variations(True, block.push, block.randomization) if self._randomized else _Variations()
        asked = self.cfg.conditions
        return _Variations(
            asked.noise,
            Push(velocity=(-asked.push, asked.push)) if asked.push else None,
            Randomization(base_mass=(asked.payload, asked.payload)) if asked.payload else None,
        )

    def _terminate(self, diverged: NDArray[np.bool_]) -> tuple[dict[str, NDArray[np.bool_]], NDArray[np.bool_]]:
        """Fill in ``State.terminated``; return each cause's worlds and those whose time is up."""
        state = self.state
        truncated = state.episode_length >= self.max_episode_length
        causes = {term.name: term.func(state) for term in self.cfg.terminations}
        terminated = diverged.copy()
        for cause in causes.values():
            terminated |= cause
        state.terminated = terminated
        if diverged.any():
            causes["diverged"] = diverged
        return {"time_out": truncated, **causes}, truncated

    def _restart(self, ids: Ids, diverged: NDArray[np.bool_]) -> dict[str, float]:
        """Start new episodes in some worlds; return the log of the ended ones, but for those that diverged."""
        state, origins = self.state, np.zeros((len(ids), 3))
        if self._ground:
            origins = self._ground.origins[ids]
        self.engine.restart(state, ids, self._starts.draw(self.engine.base_com[ids], origins))
        state.action[ids] = 0.0
        state.previous_action[ids] = 0.0
        state.episode_length[ids] = 0
        self._measure_target_of(ids)
        counted = ids[~diverged[ids]]
        log = self._rewards.finish(ids, counted, self.cfg.episode_length_s)
        if self._commands:
            log.update(self._commands.finish(ids, counted))
        if self._pushes:
            self._pushes.restart(ids)
        return log

    def _measure_target(self) -> None:
        if self.cfg.target:
            self.state.previous_target_distance = self.state.target_distance
            self.state.target_distance = target_distance(self.state.root_pos_w, self.cfg.target)

    def _measure_target_of(self, ids: Ids) -> None:
        if self.cfg.target:
            self.state.target_distance[ids] = target_distance(self.state.root_pos_w[ids], self.cfg.target)

    def _observe(self) -> dict[str, NDArray[np.float32]]:
        return self._observations.compute(self.state, self.num_envs)


def target_distance(root_pos_w: Array, target: tuple[float, float]) -> Array:
    """Return the distance to a target in the ground plane [m], (n,)."""
    distance: Array = np.hypot(target[0] - root_pos_w[:, 0], target[1] - root_pos_w[:, 1])
    return distance
