"""Observations: the terms of a task side by side in one array, with and without noise."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .state import State
from .tasks.cfg import Observation

POLICY, CRITIC = "policy", "critic"
"""Names of the observation groups."""


class Observations:
    """The observation groups of a task.

    ``policy`` holds the task's terms. ``critic``, there only when there are privileged terms, holds the same without
    noise and the privileged ones after them.

    Args:
        terms: The policy's terms, in order.
        privileged: The critic's further terms.
        noise: Source of the terms' noise, or None for none.
    """

    def __init__(
        self, terms: tuple[Observation, ...], privileged: tuple[Observation, ...], noise: np.random.Generator | None
    ) -> None:
        self._terms = (*terms, *privileged)
        ends = np.cumsum([term.size for term in self._terms])
        self._spans = tuple(slice(int(end) - term.size, int(end)) for term, end in zip(self._terms, ends, strict=True))
        self._size = sum(term.size for term in terms)
        self._rng = noise
        self._low = np.zeros(self._size, np.float32)
        self._width = np.zeros(self._size, np.float32)
        for term, span in zip(terms, self._spans, strict=False):
            low, high = term.noise or (0.0, 0.0)
            self._low[span], self._width[span] = low, high - low
        self._per_bit = self._width * np.float32(2.0**-16)
        self._noisy = noise is not None and bool(self._width.any())
        self._adjusted = tuple(
            (span, term.clip, np.float32(term.scale))
            for term, span in zip(self._terms, self._spans, strict=True)
            if term.clip is not None or term.scale != 1.0
        )
        self.sizes = {POLICY: self._size} | ({CRITIC: int(ends[-1])} if privileged else {})

    def compute(self, state: State, num_envs: int) -> dict[str, NDArray[np.float32]]:
        """Return each group's array, (num_envs, size): values, then noise, then clip, then scale."""
        clean = np.empty((num_envs, self._spans[-1].stop), np.float32)
        for term, span in zip(self._terms, self._spans, strict=True):
            value = term.func(state)
            clean[:, span] = value if value.ndim == 2 else value[:, None]
        groups = {POLICY: clean}
        if CRITIC in self.sizes:
            groups = {POLICY: clean[:, : self._size].copy(), CRITIC: clean}
        if self._noisy:
            groups[POLICY] += self._noise(num_envs)
        for values in groups.values():
            self._adjust(values)
        return groups

    def _noise(self, num_envs: int) -> NDArray[np.float32]:
        """Draw uniform noise from 16 random bits each: plenty for noise, and half the cost of drawing floats."""
        assert self._rng is not None
        count = num_envs * self._size
        bits = self._rng.bit_generator.random_raw(-(-count // 4)).view(np.uint16)[:count]
        noise: NDArray[np.float32] = np.multiply(bits.reshape(num_envs, self._size), self._per_bit, dtype=np.float32)
        noise += self._low
        return noise

    def _adjust(self, values: NDArray[np.float32]) -> None:
        for span, clip, scale in self._adjusted:
            part = values[:, span]
            if clip is not None:
                np.clip(part, *clip, out=part)
            part *= scale
