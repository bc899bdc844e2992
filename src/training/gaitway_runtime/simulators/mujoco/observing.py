"""Observation groups: the terms of a task put side by side into one array."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .state import State
from .tasks.cfg import Observation


class ObservationGroup:
    """One group of observation terms, for example ``policy``.

    Args:
        terms: The terms, in order.
        noise: Whether to add the terms' noise.
        rng: Source of the noise.
    """

    def __init__(self, terms: tuple[Observation, ...], *, noise: bool, rng: np.random.Generator) -> None:
        self.terms = terms
        ends = np.cumsum([term.size for term in terms])
        self.slices = tuple(slice(int(end) - term.size, int(end)) for term, end in zip(terms, ends, strict=True))
        self.size = int(ends[-1])
        self._rng = rng
        self._low = np.zeros(self.size, np.float32)
        self._width = np.zeros(self.size, np.float32)
        for term, span in zip(terms, self.slices, strict=True):
            if noise and term.noise:
                self._low[span], self._width[span] = term.noise[0], term.noise[1] - term.noise[0]
        self._noisy = bool(self._width.any())
        self._adjusted = tuple((s, t.clip, t.scale) for t, s in zip(terms, self.slices, strict=True) if _adjusted(t))

    def compute(self, state: State, num_envs: int) -> NDArray[np.float32]:
        """Return the group's array, (num_envs, size): value, then noise, then clip, then scale."""
        values = np.empty((num_envs, self.size), np.float32)
        for term, span in zip(self.terms, self.slices, strict=True):
            value = term.func(state)
            values[:, span] = value if value.ndim == 2 else value[:, None]
        if self._noisy:
            noise = self._rng.random((num_envs, self.size), np.float32)
            noise *= self._width
            noise += self._low
            values += noise
        for span, clip, scale in self._adjusted:
            part = values[:, span]
            if clip is not None:
                np.clip(part, *clip, out=part)
            if scale != 1.0:
                part *= np.float32(scale)
        return values


def _adjusted(term: Observation) -> bool:
    return term.clip is not None or term.scale != 1.0
