"""Rewards: a task's own terms, the training-only shaping beside them, and their sums over episodes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .engine import Ids
from .state import State
from .tasks.cfg import Reward, Shaping

PENALTY_RELIEF = "shaping/penalty_relief"
FLOOR = "shaping/floor"


@dataclass(frozen=True)
class StepRewards:
    """Rewards of one step. The values of ``terms`` add up to ``total``."""

    total: NDArray[np.float32]
    task: NDArray[np.float32]
    terms: dict[str, NDArray[np.float32]]


class Rewards:
    """A task's rewards of all worlds.

    Args:
        task_terms: The reported reward; terms of weight 0 are left out.
        shaping: What training adds, or None.
        step_dt: Length of a control step [s].
        num_envs: Worlds, N.
    """

    def __init__(self, task_terms: tuple[Reward, ...], shaping: Shaping | None, step_dt: float, num_envs: int) -> None:
        self._own = tuple(term for term in task_terms if term.weight != 0.0)
        self._shaping = shaping
        extra = shaping.terms if shaping else ()
        self._terms = (*self._own, *extra)
        self._weights = np.array([[term.weight * step_dt] for term in self._terms])
        self._floor = -np.inf if shaping is None or shaping.floor is None else shaping.floor * step_dt
        self._names = [*(t.name for t in self._own), *(f"shaping/{t.name}" for t in extra)]
        self._fading = [(row, term.fade_steps) for row, term in enumerate(self._terms) if term.fade_steps]
        if shaping:
            self._names += [PENALTY_RELIEF, FLOOR]
            self._scaled = np.array([float(term.name not in shaping.unscaled) for term in self._own])
        self._tags = [_tag(name) for name in self._names]
        self._sums = np.zeros((len(self._names), num_envs))

    def compute(self, state: State, void: NDArray[np.bool_], env_steps: int) -> StepRewards:
        """Return the rewards of a step and add them to the episodes' sums.

        Args:
            state: The worlds after the step, before any reset.
            void: Worlds whose step is worth nothing because they diverged, (N,).
            env_steps: Environment steps so far over all worlds, for the penalty ramp and the terms that fade.
        """
        values = np.empty_like(self._sums)
        own, count = len(self._own), len(self._terms)
        for row, term in enumerate(self._terms):
            values[row] = term.func(state)
        values[:count] *= self._weights
        for row, steps in self._fading:
            values[row] *= max(0.0, 1.0 - env_steps / steps)
        if void.any():
            values[:count, void] = 0.0
        task = values[:own].sum(axis=0)
        total = task
        if self._shaping:
            values[count] = (penalty_scale(self._shaping, env_steps) - 1.0) * self._scaled @ values[:own]
            raw = values[: count + 1].sum(axis=0)
            total = np.maximum(raw, self._floor)
            values[count + 1] = total - raw
        self._sums += values
        terms = dict(zip(self._names, values.astype(np.float32), strict=True))
        return StepRewards(total.astype(np.float32), task.astype(np.float32), terms)

    def finish(self, ids: Ids, counted: Ids, episode_length_s: float) -> dict[str, float]:
        """Forget the sums of ended episodes and return their means by TensorBoard tag, as Isaac Lab logs them.

        Args:
            ids: Worlds whose episode ended.
            counted: Those of them that go into the means.
            episode_length_s: Length of a full episode [s], by which the sums are divided.
        """
        log: dict[str, float] = {}
        if counted.size:
            means = self._sums[:, counted].sum(axis=1) / (counted.size * episode_length_s)
            log = dict(zip(self._tags, means.tolist(), strict=True))
        self._sums[:, ids] = 0.0
        return log


def penalty_scale(shaping: Shaping, env_steps: int) -> float:
    """Return the factor on the scaled reward terms after so many environment steps."""
    first, last = shaping.penalty_scale
    return first + (last - first) * min(1.0, env_steps / shaping.penalty_ramp_steps)


def _tag(name: str) -> str:
    shaping, _, rest = name.partition("shaping/")
    return f"Episode_Shaping/{rest}" if not shaping and rest else f"Episode_Reward/{name}"
