"""Rollouts: a policy played in an environment, with what metrics, gate, plots and video need.

Two ways to stop: after a number of control steps (``infer``), or when every world has ended the number of episodes
it was given beforehand (``validate``). The second has no bias towards short episodes: a world that falls early does
not get to contribute more often, because how many of its first episodes count is fixed before the first step.
"""

from __future__ import annotations

import enum
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from ..simulators.base import policy_observations

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..simulators.base import Env, Transition

RECORDED_WORLDS = 4
"""Worlds whose observations, actions and measurements are kept step by step."""

RECORDED_STEPS = 1000
"""Longest step-by-step record [control steps]."""


class Actor(Protocol):
    """Whatever maps observations to actions: a checkpoint's network or an exported file."""

    def act(self, observations: NDArray[np.float32]) -> NDArray[np.float32]:
        """Map observations (N, size) to raw actions (N, num_actions)."""
        ...

    def reset(self, mask: NDArray[np.bool_] | None = None) -> None:
        """Forget the recurrent state of the masked worlds, or of all."""
        ...


class Ending(str, enum.Enum):
    """How an episode ended."""

    TIME_OUT = "time_out"
    TERMINATED = "terminated"
    DIVERGED = "diverged"
    """The simulation's state was no longer finite; says nothing of the policy."""
    UNFINISHED = "unfinished"
    """The rollout stopped first."""


@dataclass(frozen=True, kw_only=True)
class Episode:
    """One episode of one world."""

    world: int
    steps: int
    reward: float
    """Sum of the task's own reward."""
    ending: Ending
    means: Mapping[str, float]
    """Mean of each measurement over the episode's steps."""
    last: Mapping[str, float]
    """Each measurement at the episode's last step."""


@dataclass(frozen=True, kw_only=True)
class Recording:
    """Step-by-step record of the first worlds. T steps, W worlds."""

    observations: NDArray[np.float32]
    """What the policy saw, (T, W, observations)."""
    actions: NDArray[np.float32]
    """What it answered, (T, W, actions)."""
    done: NDArray[np.bool_]
    """Whether the step ended an episode, (T, W)."""
    measurements: Mapping[str, NDArray[np.float32]]
    """Each measurement, (T, W)."""
    snapshots: NDArray[np.float64]
    """State of one world before each of the first steps, (frames, nq): what the video shows."""
    filmed: int = 0
    """Which world that is, of those that are recorded."""


@dataclass(frozen=True, kw_only=True)
class Rollout:
    """What happened. Totals are over the steps that count: all of them, or those of the counted episodes."""

    task: str
    num_envs: int
    step_dt: float
    max_episode_length: int
    seed: int
    steps: int
    """Control steps done by every world."""
    seconds: float
    """Wall time of stepping and acting together [s]."""
    act_seconds: NDArray[np.float64]
    """Wall time of each call of the policy [s], (steps,)."""
    episodes: tuple[Episode, ...]
    """Ended episodes that count, in the order they ended."""
    unfinished: tuple[Episode, ...]
    counted_steps: int
    """Steps the means are over, all worlds together."""
    means: Mapping[str, float]
    """Mean of each measurement over the counted steps."""
    reward_per_second: float | None
    """Mean of the task's own reward per simulated second."""
    reward_terms: Mapping[str, float]
    """Each reward term's mean contribution per simulated second."""
    recording: Recording


def run_steps(
    env: Env,
    actor: Actor,
    steps: int,
    *,
    seed: int,
    snapshots: int = 0,
    filmed: int = 0,
    on_step: Callable[[int, int], None] | None = None,
) -> Rollout:
    """Play a fixed number of control steps in every world.

    Args:
        env: Environment; it is reset first.
        actor: The policy.
        steps: Control steps.
        seed: Seed of the reset.
        snapshots: Steps whose state is kept for a video.
        filmed: World that the video shows; one that is recorded and there is taken where it is not.
        on_step: Told ``(steps done, steps to do)``; may raise to stop.
    """
    return _run(env, actor, steps, None, seed=seed, snapshots=snapshots, filmed=filmed, on_step=on_step)


def run_episodes(
    env: Env,
    actor: Actor,
    episodes: int,
    *,
    seed: int,
    snapshots: int = 0,
    on_step: Callable[[int, int], None] | None = None,
) -> Rollout:
    """Play until exactly ``episodes`` episodes have ended, each world giving its first ones.

    Args:
        env: Environment; it is reset first.
        actor: The policy.
        episodes: Episodes that count.
        seed: Seed of the reset.
        snapshots: Steps whose state is kept for a video.
        on_step: Told ``(steps done, most steps it may take)``; may raise to stop.
    """
    quotas = episode_quotas(episodes, env.num_envs)
    limit = int(quotas.max()) * env.max_episode_length
    return _run(env, actor, limit, quotas, seed=seed, snapshots=snapshots, on_step=on_step)


def episode_quotas(episodes: int, num_envs: int) -> NDArray[np.int64]:
    """Share episodes out over worlds beforehand: as evenly as possible, their sum exact. Shape (num_envs,)."""
    quotas = np.full(num_envs, episodes // num_envs, dtype=np.int64)
    quotas[: episodes % num_envs] += 1
    return quotas


def _run(
    env: Env,
    actor: Actor,
    limit: int,
    quotas: NDArray[np.int64] | None,
    *,
    seed: int,
    snapshots: int,
    on_step: Callable[[int, int], None] | None,
    filmed: int = 0,
) -> Rollout:
    totals = _Totals(env.num_envs, quotas)
    watched = min(limit, max(RECORDED_STEPS, snapshots))
    recorder = _Recorder(watched, min(env.num_envs, RECORDED_WORLDS), min(limit, snapshots), filmed)
    act_seconds: list[float] = []
    observations = policy_observations(env, env.reset(seed))
    actor.reset()
    begin = time.perf_counter()
    for step in range(limit):
        recorder.before(env, step)
        start = time.perf_counter()
        actions = actor.act(observations)
        act_seconds.append(time.perf_counter() - start)
        transition = env.step(actions)
        done = transition.terminated | transition.truncated
        recorder.after(step, observations, actions, done, transition.diagnostics)
        totals.add(transition, done)
        if done.any():
            actor.reset(done)
        observations = policy_observations(env, transition.observations)
        if on_step is not None:
            on_step(step + 1, limit)
        if totals.complete:
            break
    return _rollout(env, seed, time.perf_counter() - begin, act_seconds, totals, recorder)


def _rollout(
    env: Env, seed: int, seconds: float, act_seconds: list[float], totals: _Totals, recorder: _Recorder
) -> Rollout:
    return Rollout(
        task=env.task,
        num_envs=env.num_envs,
        step_dt=env.step_dt,
        max_episode_length=env.max_episode_length,
        seed=seed,
        steps=len(act_seconds),
        seconds=seconds,
        act_seconds=np.asarray(act_seconds),
        episodes=tuple(totals.episodes),
        unfinished=tuple(totals.unfinished()),
        counted_steps=totals.counted_steps,
        means=totals.means(),
        reward_per_second=totals.per_second(totals.total_reward, env.step_dt),
        reward_terms=totals.term_rates(env.step_dt),
        recording=recorder.recording(),
    )


class _Totals:
    """Sums per world since its episode began, and totals over everything that counts."""

    def __init__(self, num_envs: int, quotas: NDArray[np.int64] | None) -> None:
        self.quotas = quotas
        self.ended = np.zeros(num_envs, dtype=np.int64)
        self.steps = np.zeros(num_envs, dtype=np.int64)
        self.rewards = np.zeros(num_envs)
        self.sums: dict[str, NDArray[np.float64]] = {}
        self.last: Mapping[str, NDArray[np.float32]] = {}
        self.episodes: list[Episode] = []
        self.counted_steps = 0
        self.total_reward = 0.0
        self.totals: dict[str, float] = {}
        self.term_totals: dict[str, float] = {}

    @property
    def complete(self) -> bool:
        return self.quotas is not None and bool((self.ended >= self.quotas).all())

    def add(self, transition: Transition, done: NDArray[np.bool_]) -> None:
        lost = transition.diverged if transition.diverged is not None else np.zeros_like(done)
        active = ~lost if self.quotas is None else ~lost & (self.ended < self.quotas)
        self.counted_steps += int(active.sum())
        self.total_reward += float(transition.task_rewards[active].sum(dtype=np.float64))
        self.steps += 1
        self.rewards += np.where(lost, 0.0, transition.task_rewards)
        self.last = transition.diagnostics
        for name, values in transition.diagnostics.items():
            self.sums.setdefault(name, np.zeros(len(done)))
            self.sums[name] += np.where(lost, 0.0, values)
            self.totals[name] = self.totals.get(name, 0.0) + float(values[active].sum(dtype=np.float64))
        for name, values in transition.reward_terms.items():
            self.term_totals[name] = self.term_totals.get(name, 0.0) + float(values[active].sum(dtype=np.float64))
        if done.any() or lost.any():
            self._close(np.flatnonzero(done | lost), transition.terminated, lost)

    def _close(self, worlds: NDArray[np.intp], terminated: NDArray[np.bool_], lost: NDArray[np.bool_]) -> None:
        for world in worlds:
            if self.quotas is None or self.ended[world] < self.quotas[world]:
                fell = Ending.TERMINATED if terminated[world] else Ending.TIME_OUT
                self.episodes.append(self._episode(int(world), Ending.DIVERGED if lost[world] else fell))
        self.ended[worlds] += 1
        self.steps[worlds] = 0
        self.rewards[worlds] = 0.0
        for values in self.sums.values():
            values[worlds] = 0.0

    def _episode(self, world: int, ending: Ending) -> Episode:
        steps = int(self.steps[world])
        return Episode(
            world=world,
            steps=steps,
            reward=float(self.rewards[world]),
            ending=ending,
            means={name: float(values[world]) / steps for name, values in self.sums.items()},
            last={name: float(values[world]) for name, values in self.last.items()},
        )

    def unfinished(self) -> list[Episode]:
        if self.quotas is not None:
            return []
        return [self._episode(int(world), Ending.UNFINISHED) for world in np.flatnonzero(self.steps)]

    def means(self) -> dict[str, float]:
        return {name: total / self.counted_steps for name, total in self.totals.items()} if self.counted_steps else {}

    def per_second(self, total: float, step_dt: float) -> float | None:
        return total / (self.counted_steps * step_dt) if self.counted_steps else None

    def term_rates(self, step_dt: float) -> dict[str, float]:
        rates = {name: self.per_second(total, step_dt) for name, total in self.term_totals.items()}
        return {name: rate for name, rate in rates.items() if rate is not None}


class _Recorder:
    """Step-by-step record of the first worlds and the first steps."""

    def __init__(self, steps: int, worlds: int, snapshots: int, filmed: int) -> None:
        self.steps, self.worlds, self.frames, self.filmed = steps, worlds, snapshots, filmed % worlds
        self.observations: list[NDArray[np.float32]] = []
        self.actions: list[NDArray[np.float32]] = []
        self.done: list[NDArray[np.bool_]] = []
        self.measurements: dict[str, list[NDArray[np.float32]]] = {}
        self.snapshots: list[NDArray[np.float64]] = []

    def before(self, env: Env, step: int) -> None:
        if step < self.frames:
            self.snapshots.append(env.snapshot()[self.filmed])

    def after(
        self,
        step: int,
        observations: NDArray[np.float32],
        actions: NDArray[np.float32],
        done: NDArray[np.bool_],
        measurements: Mapping[str, NDArray[np.float32]],
    ) -> None:
        if step >= self.steps:
            return
        self.observations.append(observations[: self.worlds].copy())
        self.actions.append(actions[: self.worlds].copy())
        self.done.append(done[: self.worlds].copy())
        for name, values in measurements.items():
            self.measurements.setdefault(name, []).append(values[: self.worlds].copy())

    def recording(self) -> Recording:
        return Recording(
            observations=np.stack(self.observations),
            actions=np.stack(self.actions),
            done=np.stack(self.done),
            measurements={name: np.stack(values) for name, values in self.measurements.items()},
            snapshots=np.stack(self.snapshots) if self.snapshots else np.zeros((0, 0)),
            filmed=self.filmed,
        )
