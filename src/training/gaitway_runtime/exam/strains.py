"""Strains on a walking robot, all at once: every condition has worlds of its own in one batch.

The conditions are those of the sweep that ``validate --sweep`` plays one after another (evaluation/sweep.py).
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..evaluation import sweep
from ..evaluation.rollout import Ending, Episode, run_steps
from ..evaluation.sweep import Point
from ..policies.confined.policy_file import AskedPolicy
from ..simulators.mujoco.env import MujocoEnv
from ..tasks.environment import EnvCfg, VelocityCommand
from ..tasks.terrain import KIND_NAMES
from .conventions import COMMAND, Conventions, Floats
from .playing import ExamActor

WORLDS = 8
"""Worlds of each condition."""
GROUND_WORLDS = 48
SECONDS = 8.0
_PUSH_EVERY = 2.0
"""Time between two pushes [s]."""
GROUND_LEVEL = 2
"""Level of the rough ground."""


@dataclass(frozen=True, kw_only=True)
class Strain:
    """One thing that is not nominal."""

    axis: str
    label: str
    command: tuple[float, float, float] | None = None
    push: float = 0.0
    """Greatest change of velocity, every two seconds [m/s]."""
    friction: float = 1.0
    payload: float = 0.0
    """[kg]."""
    action_delay: int = 0
    observation_delay: int = 0
    strength: float = 1.0


def strains(command: VelocityCommand) -> Iterator[Strain]:
    """Yield the conditions of a robot that takes such commands; directions that it never learned are left out."""
    for label, forward, left in sweep.DIRECTIONS:
        factor = sweep.SPEED / math.hypot(forward, left)
        yield from _commanded(label, (factor * forward, factor * left, 0.0), command)
    for label, sign in (("turn left", 1.0), ("turn right", -1.0)):
        yield from _commanded(label, (0.0, 0.0, sign * sweep.TURN), command)
    for value in sweep.PUSHES[1:]:
        yield Strain(axis="push [m/s]", label=f"{value:g}", push=value)
    for value in sweep.FRICTIONS[:-1]:
        yield Strain(axis="friction factor", label=f"{value:g}", friction=value)
    for value in sweep.PAYLOADS[1:]:
        yield Strain(axis="payload [kg]", label=f"{value:g}", payload=value)
    for steps in sweep.DELAYS[1:]:
        yield Strain(axis="action delay [steps]", label=str(steps), action_delay=steps)
    for steps in sweep.DELAYS[1:]:
        yield Strain(axis="observation delay [steps]", label=str(steps), observation_delay=steps)
    for value in sweep.STRENGTHS[:-1]:
        yield Strain(axis="motor strength", label=f"{value:g}", strength=value)


def _commanded(label: str, asked: tuple[float, float, float], command: VelocityCommand) -> Iterator[Strain]:
    ranges = (command.lin_vel_x, command.lin_vel_y, command.ang_vel_z)
    if all(low <= value <= high for value, (low, high) in zip(asked, ranges, strict=True)):
        yield Strain(axis="command", label=label, command=asked)


def strained(policy: AskedPolicy, found: Conventions, task: EnvCfg, seed: int) -> tuple[Point, ...]:
    """Return how a policy does under each condition.

    Args:
        policy: The policy.
        found: Its conventions.
        task: The task, on flat ground.
        seed: Seed of the worlds and the pushes.
    """
    assert isinstance(task.command, VelocityCommand)
    conditions = tuple(strains(task.command))
    env = MujocoEnv(task, num_envs=WORLDS * len(conditions), training=False, seed=seed)
    with contextlib.closing(env):
        actor = StrainedActor(ExamActor(policy, found, env), env, conditions, found, seed)
        rollout = run_steps(env, actor, round(SECONDS / env.step_dt), seed=seed)
    episodes = (*rollout.episodes, *rollout.unfinished)
    return tuple(
        _point(
            strain.axis,
            strain.label,
            "commands" if strain.command else "sweep",
            [each for each in episodes if each.world // WORLDS == number],
        )
        for number, strain in enumerate(conditions)
    )


def grounds(policy: AskedPolicy, found: Conventions, rough: EnvCfg, seed: int) -> tuple[Point, ...]:
    """Return how a policy does on each kind of rough ground; arguments as for :func:`strained`."""
    assert rough.terrain is not None
    level = dataclasses.replace(rough.terrain, levels=(GROUND_LEVEL, GROUND_LEVEL), kind=None)
    task = dataclasses.replace(rough, terrain=level)
    env = MujocoEnv(task, num_envs=GROUND_WORLDS, training=False, seed=seed)
    with contextlib.closing(env):
        rollout = run_steps(env, ExamActor(policy, found, env), round(SECONDS / env.step_dt), seed=seed)
    by_kind: dict[int, list[Episode]] = {}
    for episode in (*rollout.episodes, *rollout.unfinished):
        by_kind.setdefault(round(episode.means["terrain_kind"]), []).append(episode)
    axis = f"rough ground, level {GROUND_LEVEL}"
    return tuple(
        _point(axis, KIND_NAMES[kind].replace("_", " "), "ground", episodes)
        for kind, episodes in sorted(by_kind.items())
    )


def _point(axis: str, label: str, plot: str, episodes: Sequence[Episode]) -> Point:
    counted = [episode for episode in episodes if episode.ending is not Ending.DIVERGED]
    steps = sum(episode.steps for episode in counted)

    def mean(name: str) -> float | None:
        total = sum(episode.means.get(name, math.nan) * episode.steps for episode in counted)
        return total / steps if steps and math.isfinite(total) else None

    worlds = {episode.world for episode in counted}
    fell = {episode.world for episode in counted if episode.ending is Ending.TERMINATED}
    return Point(
        axis=axis,
        label=label,
        plot=plot,
        survival_rate=1 - len(fell) / len(worlds) if worlds else None,
        error_vel_xy=mean("error_vel_xy"),
        error_vel_yaw=mean("error_vel_yaw"),
        reward_per_second=None,
    )


class StrainedActor:
    """A policy whose worlds are strained, each block of them in its own way.

    Args:
        actor: The policy.
        env: Its environment; friction, masses and drives are changed in it.
        conditions: One for each block of worlds.
        found: The policy's conventions, for the gains.
        seed: Seed of the pushes.
    """

    def __init__(
        self, actor: ExamActor, env: MujocoEnv, conditions: Sequence[Strain], found: Conventions, seed: int
    ) -> None:
        self._actor, self._env = actor, env
        blocks = [strain for strain in conditions for _ in range(WORLDS)]
        self._rng = np.random.default_rng(seed)
        self._push = np.array([strain.push for strain in blocks])
        self._commanded = np.array([strain.command is not None for strain in blocks])
        self._commands = np.array([strain.command or (0.0, 0.0, 0.0) for strain in blocks])
        self._late_seen = np.array([strain.observation_delay for strain in blocks])
        self._late_done = np.array([strain.action_delay for strain in blocks])
        self._worlds = np.arange(len(blocks))
        self._seen: list[Floats] = []
        self._done: list[Floats] = []
        self._step = 0
        _change_worlds(env, blocks, found)

    def act(self, observations: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the simulator's actions for its observations, both as late as they are."""
        observations = self._with_commands(observations)
        if self._step and self._step % round(_PUSH_EVERY / self._env.step_dt) == 0:
            change = self._rng.uniform(-1.0, 1.0, (len(self._worlds), 2)) * self._push[:, None]
            self._env.engine.qvel[:, :2] += change
        self._step += 1
        actions = self._actor.act(self._late(self._seen, observations, self._late_seen))
        return self._late(self._done, actions, self._late_done)

    def reset(self, mask: NDArray[np.bool_] | None = None) -> None:
        """Forget the past of the masked worlds, or of all."""
        self._actor.reset(mask)
        for values in (*self._seen, *self._done) if mask is None else ():
            values[:] = 0.0

    def _with_commands(self, observations: NDArray[np.float32]) -> NDArray[np.float32]:
        chosen = self._commanded
        self._env.state.command[chosen] = self._commands[chosen]
        term = next(term for term in self._env.contract.observations if term.quantity == COMMAND)
        shown = observations.copy()
        shown[chosen, term.start : term.stop] = self._commands[chosen]
        return shown

    def _late(self, past: list[Floats], values: Floats, steps: NDArray[np.int64]) -> Floats:
        """Return each world's values of some steps ago; before the first ones the first."""
        past.insert(0, values.copy())
        del past[int(steps.max()) + 1 :]
        kept = [past[min(age, len(past) - 1)] for age in range(int(steps.max()) + 1)]
        found: Floats = np.stack(kept)[steps, self._worlds]
        return found


def _change_worlds(env: MujocoEnv, blocks: Sequence[Strain], found: Conventions) -> None:
    """Give each world its friction, its payload and its drives."""
    engine, spec = env.engine, env.engine.spec
    model = engine.model
    robot = np.flatnonzero(model.geom_bodyid > 0)
    friction = np.array([strain.friction for strain in blocks])
    engine.batch.expand("geom_friction")[:, robot, 0] = friction[:, None] * model.geom_friction[robot, 0]
    base = model.body(spec.base)
    mass = float(base.mass[0]) + np.array([strain.payload for strain in blocks])
    engine.batch.expand("body_mass")[:, base.id] = mass
    engine.batch.expand("body_inertia")[:, base.id] = base.inertia * (mass / float(base.mass[0]))[:, None]
    engine.update_constants()
    if spec.actuator == "implicit_pd":
        strength = np.array([strain.strength for strain in blocks])[:, None]
        stiffness, damping = found.stiffness or spec.stiffness, found.damping or spec.damping
        engine.set_gains(strength * np.array(stiffness), strength * np.array(damping))
