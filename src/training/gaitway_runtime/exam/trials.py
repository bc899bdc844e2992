"""Trials: many conventions of one policy played side by side for a few seconds, each world with its own."""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..evaluation.rollout import Actor
from ..simulators.mujoco.env import MujocoEnv
from ..tasks.arrays import Array
from ..tasks.environment import EnvCfg, Reset, VelocityCommand
from ..tasks.robots import RobotSpec
from . import conventions as words
from .conventions import Conventions, Floats
from .wiring import FeatureLayout, Harness, wire

COMMANDS = (
    (0.6, 0.2, 0.6),
    (0.6, -0.3, -0.5),
    (-0.5, 0.3, 0.5),
    (0.1, -0.4, 0.7),
    (0.8, 0.0, 0.0),
    (0.0, 0.5, 0.0),
    (0.0, 0.0, -0.8),
    (-0.6, -0.2, -0.4),
)
"""Commands of the worlds of one candidate, in turn: vx, vy, wz, each from -1 to 1 across the range of the task's.

Spread over the range and not cut off at it: a robot that never walks backwards would be asked to stand in half of the
worlds, where a policy of its own is at its worst and conventions hardly differ.
"""
_YAW_WEIGHT = 0.7
"""Weight of an error of the yaw rate beside one of the velocity [m/rad]."""
_SETTLING = 0.4
"""Share of a trial that is left out of what is followed."""
_KICK, _TWIST, _KICK_EVERY = 2.0, 3.0, 0.6
"""Change of the base's velocity [m/s] and of its roll and pitch rates [rad/s] in a kick; time between two [s]."""
_STRENGTHS, _STAND = (1.0, 0.5, 0.25), 0.7
"""Strengths of kicks; share of the time that robots must stand under them."""
_JITTER = 0.25
"""Change of a target from step to step at which a robot trembles [rad]."""


@dataclass(frozen=True, kw_only=True)
class Score:
    """How a robot did under some conventions, mean over its worlds."""

    total: float
    """1 for a robot that stands and follows every command; what the search maximises."""
    alive: float
    """Share of the time that it did not fall."""
    follow: float
    """1 where the mean velocity is the command, 0 where it stands, negative where it goes elsewhere."""
    jitter: float
    """Mean change of a joint target from step to step [rad]."""
    totals: tuple[float, ...]
    """``total`` of each world."""

    @property
    def walks(self) -> bool:
        """Whether this is walking at the commanded velocity."""
        return self.alive >= 0.9 and self.follow >= 0.5


class Trials:
    """Worlds of one robot in which conventions are tried.

    Args:
        task: The robot's task on flat ground.
        spec: The robot.
        policy: The policy.
        actions: Its outputs.
        scan: Whether it sees a height scan.
        budget: CPU seconds of this process, from now on, after which a search ends.
    """

    def __init__(
        self, task: EnvCfg, spec: RobotSpec, policy: Actor, actions: int, *, scan: bool, budget: float
    ) -> None:
        self.spec, self._policy = spec, policy
        self._begin, self._budget = time.process_time(), budget
        self.scales = task.action.scales
        step = task.step_dt
        # The coarse physics of training: half the cost, and good enough to tell walking from falling.
        coarse = dataclasses.replace(
            task,
            physics_dt=step / 2,
            decimation=2,
            episode_length_s=1000.0,
            reset=Reset(root_yaw=(-np.pi, np.pi)),
            command=_held(task.command),
        )
        self._task = coarse
        self._ranges = _ranges(task.command)
        self.layout = FeatureLayout(len(spec.joint_names), actions, scan=scan)
        self._envs: dict[int, MujocoEnv] = {}
        self.played = 0
        """Environment steps so far."""

    def spent(self, share: float) -> bool:
        """Whether so much of the time is gone."""
        return time.process_time() - self._begin >= share * self._budget

    @property
    def over(self) -> bool:
        """Whether the time is up."""
        return self.spent(1.0)

    def play(self, tried: Sequence[Conventions], *, worlds: int, seconds: float, kicks: float = 0.0) -> list[Score]:
        """Play conventions side by side, and return how each did.

        Args:
            tried: The conventions.
            worlds: Worlds of each.
            seconds: Length of the trial [s].
            kicks: Strength with which the robots are kicked off balance, 1 for that of a quadruped; those of one number
                alike whatever their conventions.
        """
        most = max(1, _MOST_WORLDS // worlds)
        found: list[Score] = []
        for start in range(0, len(tried), most):
            found += self._play(tried[start : start + most], worlds, seconds, kicks)
        return found

    def bearable(self, found: Conventions, *, worlds: int, seconds: float) -> float:
        """Return how hard robots are kicked: so that most of them stand it under some conventions.

        Where nearly all fall, as bipeds do under a quadruped's kicks, who stands is chance.
        """
        for strength in _STRENGTHS[:-1]:
            if self.play([found], worlds=worlds, seconds=seconds, kicks=strength)[0].alive >= _STAND:
                return strength
        return _STRENGTHS[-1]

    def _play(self, tried: Sequence[Conventions], worlds: int, seconds: float, kicks: float) -> list[Score]:
        count = len(tried) * worlds
        env = self._env(count)
        wires = [wire(each, self.spec, self.layout, self.scales) for each in tried for _ in range(worlds)]
        wires += [wires[0]] * (env.num_envs - count)
        harness = Harness(wires, self.layout, env)
        if env.engine.spec.actuator == "implicit_pd":
            env.engine.set_gains(*harness.gains)
        numbers = np.arange(env.num_envs) % worlds
        commands = _spread(np.array(COMMANDS)[numbers % len(COMMANDS)], *self._ranges)
        steps = round(seconds / env.step_dt)
        record = _roll(env, harness, self._policy, commands, steps, Kicks(kicks, numbers / worlds) if kicks else None)
        self.played += steps * env.num_envs
        return [_score(record, commands, slice(number * worlds, (number + 1) * worlds)) for number in range(len(tried))]

    def _env(self, count: int) -> MujocoEnv:
        size = next(size for size in _SIZES if size >= count)
        if size not in self._envs:
            self._envs[size] = MujocoEnv(self._task, num_envs=size, training=False, seed=0)
        return self._envs[size]

    def close(self) -> None:
        """Release the worlds."""
        for env in self._envs.values():
            with contextlib.closing(env):
                pass
        self._envs.clear()


_MOST_WORLDS = 512
_SIZES = (16, 64, 128, 256, _MOST_WORLDS)


@dataclass(frozen=True, eq=False)
class _Record:
    alive: Array
    """Share of the steps before the first fall, (N,)."""
    velocity: Array
    """Mean of vx, vy, wz after settling and before the fall, (N, 3)."""
    jitter: Array
    """(N,) [rad]."""


@dataclass(frozen=True, eq=False)
class Kicks:
    """Kicks of the robots, off balance."""

    strength: float
    turns: Array
    """Direction of each robot's first, in turns from its heading, (N,)."""

    def give(self, env: MujocoEnv, step: int) -> None:
        """Kick the robots after a step, where it is time to."""
        each = round(_KICK_EVERY / env.step_dt)
        if step % each == each - 1:
            _kick(env, self.turns + 0.38 * step * env.step_dt / _KICK_EVERY, self.strength)


def _roll(env: MujocoEnv, harness: Harness, policy: Actor, commands: Array, steps: int, kicks: Kicks | None) -> _Record:
    """Play some steps."""
    observations = env.reset(1)["policy"]
    env.state.command[:] = commands
    observations = _with_commands(observations, commands, env)
    harness.restart()
    policy.reset()
    up = np.ones(env.num_envs, np.bool_)
    lived, settled = np.zeros(env.num_envs), np.zeros(env.num_envs)
    moved, jitter = np.zeros((env.num_envs, 3)), np.zeros(env.num_envs)
    before: Floats | None = None
    for step in range(steps):
        if kicks is not None:
            kicks.give(env, step)
        actions = harness.act(policy.act(harness.observe(observations)))
        if before is not None:
            jitter += np.where(up, np.abs(actions - before).mean(axis=1), 0.0)
        before = actions
        transition = env.step(np.clip(actions, -100.0, 100.0))
        fell = transition.terminated | (env.state.projected_gravity_b[:, 2] > -0.5)
        up &= ~fell
        lived += up
        if step >= _SETTLING * steps:
            settled += up
            moved[:, :2] += np.where(up[:, None], env.state.root_lin_vel_b[:, :2], 0.0)
            moved[:, 2] += np.where(up, env.state.root_ang_vel_b[:, 2], 0.0)
        env.state.command[:] = commands
        observations = _with_commands(transition.observations["policy"], commands, env)
        if not up.any():
            break
    return _Record(
        alive=lived / steps,
        velocity=moved / np.maximum(settled, 1.0)[:, None],
        jitter=jitter * np.mean(env.cfg.action.scales) / np.maximum(lived, 1.0),
    )


def _kick(env: MujocoEnv, turns: Array, strength: float) -> None:
    """Kick each robot in a direction from its heading, in turns, and twist it about that axis of its base."""
    world, base = (np.stack([np.cos(angle), np.sin(angle)], axis=1) for angle in _angles(env, turns))
    env.engine.qvel[:, :2] += strength * _KICK * world
    env.engine.qvel[:, 3:5] += strength * _TWIST * base


def _angles(env: MujocoEnv, turns: Array) -> tuple[Array, Array]:
    """Return directions in the world and from each robot's heading, (N,) [rad] each."""
    from_heading = 2 * np.pi * turns
    return from_heading + env.state.heading_w, from_heading


def _with_commands(observations: Floats, commands: Array, env: MujocoEnv) -> Floats:
    """Return observations that show the commands of the trial in place of those that the task drew."""
    term = next(term for term in env.contract.observations if term.quantity == words.COMMAND)
    shown = observations.copy()
    shown[:, term.start : term.stop] = commands
    return shown


def _score(record: _Record, commands: Array, rows: slice) -> Score:
    weights = np.array([1.0, 1.0, _YAW_WEIGHT])
    asked = commands[rows] * weights
    missed = (record.velocity[rows] - commands[rows]) * weights
    follow = 1.0 - np.linalg.norm(missed, axis=1) / np.maximum(np.linalg.norm(asked, axis=1), 0.1)
    follow = np.clip(follow, -1.0, 1.0)
    alive, jitter = record.alive[rows], record.jitter[rows]
    total = alive * (0.25 + 0.75 * np.maximum(follow, 0.0)) - 0.15 * np.minimum(jitter / _JITTER, 1.0)
    return Score(
        total=float(total.mean()),
        alive=float(alive.mean()),
        follow=float(np.where(alive >= 0.9, follow, np.minimum(follow, 0.0)).mean()),
        jitter=float(jitter.mean()),
        totals=tuple(total.tolist()),
    )


def _spread(parts: Array, low: Array, high: Array) -> Array:
    """Return where ranges are at parts of them, -1 for the lower end and 1 for the upper."""
    found: Array = low + (parts + 1.0) / 2.0 * (high - low)
    return found


def _held(command: object) -> VelocityCommand:
    assert isinstance(command, VelocityCommand)
    return dataclasses.replace(command, rel_heading_envs=0.0, rel_standing_envs=0.0, resampling_time=(1e6, 1e6))


def _ranges(command: object) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    assert isinstance(command, VelocityCommand)
    bounds = np.array([command.lin_vel_x, command.lin_vel_y, command.ang_vel_z])
    return bounds[:, 0], bounds[:, 1]
