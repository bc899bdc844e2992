"""A policy that was opened in the confined process: one that answers rows and keeps hidden states between calls."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Run = Callable[[Floats, list[Floats]], tuple[Floats, list[Floats]]]
"""Rows and hidden states in, outputs and hidden states out."""

PROBES = 3
"""Rows on which a policy is tried when it is opened."""


@dataclass(eq=False)
class Loaded:
    """A policy that can be called; hidden states are kept between calls."""

    inputs: int
    outputs: int
    run: Run
    states: list[Floats] = field(default_factory=list)
    """Each hidden state at the start of an episode, of one row."""
    axes: list[int] = field(default_factory=list)
    """Batch axis of each."""
    batched: bool = True
    """Whether several rows can be asked at once."""
    gains: list[list[float]] = field(default_factory=list)
    """Stiffness and damping of each joint, where the file has them as outputs."""
    values: list[Floats] | None = None
    rows: int = 0

    def act(self, rows: Floats) -> Floats:
        """Return the outputs for some rows, and keep the hidden states."""
        if self.values is None or self.rows != len(rows):
            self.rows = len(rows)
            self.values = self._fresh(len(rows))
        if self.batched:
            outputs, self.values = self.run(rows, self.values)
            return outputs
        found = []
        for number, row in enumerate(rows):
            own = [np.moveaxis(value, axis, 0)[number] for value, axis in zip(self.values, self.axes, strict=True)]
            one = [np.expand_dims(value, axis) for value, axis in zip(own, self.axes, strict=True)]
            outputs, after = self.run(row[None], one)
            found.append(outputs)
            for value, axis, new in zip(self.values, self.axes, after, strict=True):
                np.moveaxis(value, axis, 0)[number] = np.moveaxis(new, axis, 0)[0]
        return np.concatenate(found)

    def reset(self, mask: NDArray[np.bool_]) -> None:
        """Start the hidden states of some rows anew, or of all."""
        if not len(mask) or self.values is None:
            self.values = None
            return
        for value, fresh, axis in zip(self.values, self._fresh(self.rows), self.axes, strict=True):
            np.moveaxis(value, axis, 0)[mask] = np.moveaxis(fresh, axis, 0)[mask]

    def _fresh(self, rows: int) -> list[Floats]:
        return [np.repeat(state, rows, axis=axis) for state, axis in zip(self.states, self.axes, strict=True)]


def probes(width: int) -> Floats:
    """Return rows on which a policy is tried, (PROBES, width)."""
    return np.random.default_rng(0).normal(size=(PROBES, width)).astype(np.float32)


def check_answers(run: Run, width: int, fresh: list[Floats]) -> None:
    """Check that a policy answers one observation with the same finite numbers each time.

    Args:
        run: The policy, asked with one row.
        width: Length of its input.
        fresh: Its hidden states at the start of an episode.

    Raises:
        ValueError: It does not.
    """
    row = probes(width)[:1]
    first, again = (run(row, [state.copy() for state in fresh])[0] for _ in range(2))
    if not np.isfinite(first).all():
        raise ValueError("it answers with numbers that are not finite")
    if not np.allclose(first, again, rtol=1e-4, atol=1e-5):
        raise ValueError(
            "its answers to one observation differ: it draws at random, or remembers what it was asked; "
            "export its mean, and its memory as input and output"
        )
