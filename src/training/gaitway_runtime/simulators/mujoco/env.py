"""The environment: a task on the engine, in Isaac Lab's order of events.

One step is: actions, physics, episode counters, terminations, rewards (old command, state before any reset), resets,
commands, pushes, observations.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
from numpy.typing import NDArray

from ...spec.contract import PolicyContract
from ...tasks.arrays import Array
from ...tasks.environment import EnvCfg, Imperfections, PoseCommand, Push, Randomization, VelocityCommand
from ...tasks.robots import ROBOTS
from ...tasks.state import State
from ..base import Mirror, StateTree, Transition
from . import saving
from .assist import AssistingWrench
from .commands import PoseCommands, VelocityCommands
from .contract import action_offset, build_contract, mirrors
from .curriculum import TerrainLevels
from .engine import Engine, Ids, Physics, batch_engine
from .imperfections import NONE, Delay, RobotImperfections
from .managers import POLICY, Observations, Pushes, Rewards, Starts, randomize
from .models import compile_robot, terrain_of
from .walls import Walls


@dataclass(frozen=True)
class _Variations:
    """What differs from the nominal world, in training and where an evaluation asks for it."""

    noise: bool = False
    push: Push | None = None
    randomization: Randomization | None = None
    imperfections: Imperfections | None = None


_NOBODY = np.zeros(0, np.int64)


class MujocoEnv:
    """A batch of worlds of one task; see :class:`gaitway_runtime.simulators.base.Env`.

    Args:
        task: The task.
        num_envs: Worlds, N.
        training: Whether to add noise, randomisation, pushes and what else the task's training block holds.
        seed: Seed of everything random.
        shaping: Whether training adds the task's shaping to its rewards.
        nthread: Threads to step on; 0 for one per available CPU. Results do not depend on it.
        physics: What steps the worlds; MuJoCo's batch engine on those threads by default.

    Raises:
        UsageError: The physics cannot step the task.
    """

    def __init__(
        self,
        task: EnvCfg,
        *,
        num_envs: int,
        training: bool,
        seed: int,
        shaping: bool = True,
        nthread: int = 0,
        physics: Physics | None = None,
    ) -> None:
        physics = physics or batch_engine(nthread)
        physics.check(task)
        self.not_restored = physics.not_restored
        self.cfg, self.task, self.num_envs = task, task.name, num_envs
        self.num_actions = len(task.action.joint_names)
        self.max_episode_length, self.step_dt = task.max_episode_length, task.step_dt
        self.env_steps = 0
        """Environment steps since training began, over all worlds; a resumed training sets it, a reset does not."""
        self.mirrors: Sequence[Mirror] = mirrors(task, ROBOTS.get(task.robot))
        self._training = training
        self._started: Ids = _NOBODY
        """Worlds whose episode began since the last observations."""
        self._terminations = (*task.terminations, *(task.training.terminations if training else ()))
        self._randomized = training and not task.play
        self._shaping = task.training.shaping if training and shaping else None
        self._build_physics(physics)
        self._contract = build_contract(task, self.engine.model, ROBOTS.get(task.robot), physics.simulator)
        self._build_random_parts(seed)
        self.observation_sizes: Mapping[str, int] = self._observations.sizes
        self.policy_groups: Sequence[str] = (POLICY,)

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
        passive = [float(self.engine.model.joint(name).damping[0]) for name in self.engine.spec.joint_names]
        self.engine.set_gains(stiffness, np.maximum(np.array(damping) - passive, 0.0))
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
        self._set_targets(state.action)
        if self._assist:
            self._assist.apply(state)
        if self._walls:
            self._walls.place(state)
        diverged = self.engine.advance(state)
        self._measure_target()
        state.episode_length += 1
        self.env_steps += self.num_envs

        causes, truncated = self._terminate(diverged)
        rewards = self._rewards.compute(state, diverged, self.env_steps)
        diagnostics = {name: func(state).astype(np.float32) for name, func in self.cfg.diagnostics}
        terminated = state.terminated.copy()
        if self._assist:
            self._assist.fade(state, terminated)
        done = np.flatnonzero(terminated | truncated)
        log: dict[str, float] = {"Curriculum/assist": self._assist.level} if self._assist and done.size else {}
        if done.size:
            if self._ground:
                log.update(self._ground.choose(done[~diverged[done]], state, self.cfg.episode_length_s, self.env_steps))
            log.update(self._restart(done, diverged))
            log.update((f"Episode_Termination/{name}", float(cause[done].sum())) for name, cause in causes.items())
        if self._commands:
            self._command_as_of(self.env_steps)
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

    def _set_targets(self, action: Array) -> None:
        """Give every drive its target; those that no action moves hold the robot's default."""
        if self._late_actions:
            action = self._late_actions.pass_on(action)
        if self._held is None:
            np.multiply(action, self._action_scale, out=self.engine.ctrl)
            self.engine.ctrl += self._action_offset
        else:
            self.engine.ctrl[:] = self._held
            self.engine.ctrl[:, self._moved] = action * self._action_scale + self._action_offset
        if self._imperfect:
            self.engine.ctrl[:, self._moved or slice(None)] -= self._imperfect.drive_offset

    def snapshot(self) -> NDArray[np.float64]:
        """Return the positions that a replay needs, shape (N, nq), as a copy."""
        return self.engine.qpos.copy()

    def training_state(self) -> StateTree:
        """See :class:`gaitway_runtime.simulators.base.KeepsState`."""
        return {
            "env_steps": self.env_steps,
            "physics": saving.engine_state(self.engine),
            "state": saving.worlds_state(self.state),
            "parts": {name: saving.part_state(part) for name, part in self._saved_parts().items()},
            "streams": saving.streams_state(self._streams),
        }

    def load_training_state(self, state: StateTree) -> None:
        """See :class:`gaitway_runtime.simulators.base.KeepsState`."""
        tree = cast("dict[str, StateTree]", state)
        self.env_steps = cast(int, state["env_steps"])
        saving.load_engine_state(self.engine, tree["physics"])
        saving.load_worlds_state(self.state, tree["state"])
        for name, part in self._saved_parts().items():
            saving.load_part_state(part, cast(StateTree, tree["parts"][name]))
        saving.load_streams_state(self._streams, tree["streams"])

    def close(self) -> None:
        """Release threads and memory; further calls are errors."""
        self.engine.close()
        del self.state

    def _saved_parts(self) -> dict[str, saving.Saved]:
        parts: dict[str, saving.Saved | None] = {
            "commands": self._commands,
            "ground": self._ground,
            "assist": self._assist,
            "pushes": self._pushes,
            "late_actions": self._late_actions,
            "late_observations": self._late_observations,
            "rewards": self._rewards,
        }
        return {name: part for name, part in parts.items() if part is not None}

    def _build_physics(self, physics: Physics) -> None:
        task, spec = self.cfg, ROBOTS.get(self.cfg.robot)
        timestep, decimation = task.physics_dt, task.decimation
        if self._training:
            timestep, decimation = task.training.physics_dt or timestep, task.training.decimation or decimation
        self._terrain = terrain_of(task)
        model = compile_robot(task.robot, timestep=timestep, terrain=self._terrain)
        if not self._training:
            model.geom_friction[model.geom_bodyid > 0, 0] *= task.conditions.friction_scale
        self.engine = Engine(model, spec, physics.make(model, self.num_envs), decimation)
        walled = self._terrain is not None and self._terrain.columns is not None
        self._walls = Walls(self.engine, self._terrain) if self._terrain and walled else None
        self.state = State(step_dt=self.step_dt, max_episode_length=self.max_episode_length)
        self.engine.attach(self.state)
        self.state.action = np.zeros((self.num_envs, self.num_actions))
        self.state.previous_action = np.zeros((self.num_envs, self.num_actions))
        self.state.episode_length = np.zeros(self.num_envs, np.int64)
        self.state.terminated = np.zeros(self.num_envs, np.bool_)
        self.state.target_distance = np.zeros(self.num_envs)
        self._action_scale = np.array(task.action.scales)
        self._action_offset = action_offset(task.action, spec)
        self._held: Array | None = None
        """Targets of the drives that no action moves, where there are any."""
        self._moved: list[int] = []
        """Drives that the actions move, in their order."""
        if model.nu != self.num_actions:
            self._held = np.array(spec.default_joint_pos)
            self._moved = [spec.joint_names.index(joint) for joint in task.action.joint_names]

    def _build_random_parts(self, seed: int) -> None:
        """Make everything that draws, each part on a stream of its own: noise on or off changes no command."""
        task, training = self.cfg, self.cfg.training
        streams = [np.random.default_rng(child) for child in np.random.SeedSequence(seed).spawn(6)]
        self._streams = dict(zip(("starts", "commands", "pushes", "noise", "worlds", "levels"), streams, strict=True))
        starts, commands, pushes, noise, worlds, levels = streams
        self._starts = Starts(task.reset, self.engine.spec, self.state, starts)
        varied = self._variations()
        if varied.randomization:
            randomize(self.engine, varied.randomization, worlds)
        self._commands = None
        if task.command:
            self._commands = _commands_of(task.command, self.num_envs, self.step_dt, commands)
            self._command_as_of(self.env_steps)
            self.state.command = self._commands.command
        self._ground = None
        if task.terrain and self._terrain:
            self._ground = TerrainLevels(
                task.terrain, self._terrain, self.num_envs, training=self._randomized, rng=levels
            )
            self.state.terrain = self._terrain
            self.state.terrain_level, self.state.terrain_kind = self._ground.levels, self._ground.kinds
        self._assist = None
        if self._training and self._shaping and training.assist:
            self._assist = AssistingWrench(training.assist, self.engine, worlds)
        self._pushes = None
        if varied.push:
            self._pushes = Pushes(varied.push, self.num_envs, self.step_dt, pushes)
        self._rewards = Rewards(task.rewards, self._shaping, self.step_dt, self.num_envs)
        privileged = training.privileged if self._training else ()
        self._observations = Observations(task.observations, privileged, noise if varied.noise else None)
        self._make_imperfect(varied.imperfections, worlds)

    def _make_imperfect(self, cfg: Imperfections | None, rng: np.random.Generator) -> None:
        """Give each world the imperfections of a real robot, where any are asked for."""
        self._imperfect: RobotImperfections | None = None
        self._late_actions: Delay | None = None
        self._late_observations: Delay | None = None
        if cfg is None:
            return
        terms, spec = self.cfg.observations, self.engine.spec
        moved = [spec.joint_names.index(joint) for joint in self.cfg.action.joint_names]
        found = self._imperfect = RobotImperfections(cfg, self.engine, terms, moved, rng)
        self._observations.bias = found.bias
        if found.action_delay.any():
            self._late_actions = Delay(found.action_delay, np.zeros((self.num_envs, self.num_actions)))
        if found.observation_delay.any():
            size = sum(term.size for term in terms)
            self._late_observations = Delay(found.observation_delay, np.zeros((self.num_envs, size), np.float32))

    def _command_as_of(self, env_steps: int) -> None:
        """Let commands be drawn as training draws them after so many environment steps."""
        training, cfg, commands = self.cfg.training, self.cfg.command, self._commands
        if not self._training or not isinstance(commands, VelocityCommands) or not isinstance(cfg, VelocityCommand):
            return
        early = training.command_steps is None or env_steps < training.command_steps
        if training.command and early:
            cfg = training.command
        elif training.command:
            cfg = replace(cfg, resampling_time=training.command.resampling_time)
        if training.command_resampling_time:
            cfg = replace(cfg, resampling_time=training.command_resampling_time)
        commands.cfg = cfg

    def _variations(self) -> _Variations:
        if self._training:
            block = self.cfg.training
            if not self._randomized:
                return _Variations()
            return _Variations(True, block.push, block.randomization, block.imperfections)
        asked = self.cfg.conditions
        return _Variations(
            asked.noise,
            Push(velocity=(-asked.push, asked.push)) if asked.push else None,
            Randomization(base_mass=(asked.payload, asked.payload)) if asked.payload else None,
            asked.imperfections if asked.imperfections != NONE else None,
        )

    def _terminate(self, diverged: NDArray[np.bool_]) -> tuple[dict[str, NDArray[np.bool_]], NDArray[np.bool_]]:
        """Fill in ``State.terminated``; return each cause's worlds and those whose time is up."""
        state = self.state
        truncated = state.episode_length >= self.max_episode_length
        causes = {term.name: term.func(state) for term in self._terminations}
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
        if self._late_actions:
            self._late_actions.restart(ids, state.action[ids])
        self._started = ids
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
        found = self._observations.compute(self.state, self.num_envs)
        late = self._late_observations
        if late is not None:
            if self._started.size:
                late.restart(self._started, found[POLICY][self._started])
            found[POLICY] = late.pass_on(found[POLICY]).astype(np.float32)
        self._started = _NOBODY
        return found


def _commands_of(
    cfg: VelocityCommand | PoseCommand, num_envs: int, step_dt: float, rng: np.random.Generator
) -> VelocityCommands | PoseCommands:
    """Return the commands of all worlds, of the kind that is configured."""
    if isinstance(cfg, PoseCommand):
        return PoseCommands(cfg, num_envs, step_dt, rng)
    return VelocityCommands(cfg, num_envs, step_dt, rng)


def target_distance(root_pos_w: Array, target: tuple[float, float]) -> Array:
    """Return the distance to a target in the ground plane [m], (n,)."""
    distance: Array = np.hypot(target[0] - root_pos_w[:, 0], target[1] - root_pos_w[:, 1])
    return distance
