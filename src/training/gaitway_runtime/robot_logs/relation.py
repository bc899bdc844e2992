"""Fit of what a log shows against what it should show: order, sign, scale, offset, delay and frame, all at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .robot_log import Array

MAX_DELAY = 6
"""Longest delay that is looked for [control steps]."""
FITS = 0.15
"""Largest residual, as a share of the signal's spread, at which a relation explains a channel."""
_STILL = 1e-4
"""Columns that vary less say nothing of order, sign or scale."""
_DELAY_COST, _VARIANT_COST, _CHANGE_COST = 0.004, 0.01, 0.01
"""What a delay of one step, another variant, or another order, sign, scale or offset must win in residual."""
_PLAIN = 1.3
"""How much worse the plain relation may explain a channel and still be preferred."""


@dataclass(frozen=True)
class Relation:
    """``logged[t, i] = gain[i] * expected[t - delay, order[i]] + offset[i]`` of a variant of what is expected."""

    order: NDArray[np.int64]
    gain: Array
    offset: Array
    delay: int
    """[control steps]"""
    variant: str
    """Name of the variant that fits best; empty for the plain one."""
    residual: float
    """Root mean square of what is left, as a share of the logged signal's spread."""
    moving: NDArray[np.bool_]
    """Columns that vary enough to tell order, sign and scale."""

    @property
    def explains(self) -> bool:
        """Whether the relation explains what was logged."""
        return self.residual <= FITS

    @property
    def reordered(self) -> bool:
        """Whether columns changed places."""
        return bool((self.order != np.arange(len(self.order)))[self.moving].any())

    @property
    def flipped(self) -> NDArray[np.int64]:
        """Columns whose sign is the other one."""
        return np.flatnonzero((self.gain < 0) & self.moving)

    @property
    def scale(self) -> float:
        """Common magnitude of the gains; 1 where nothing moves."""
        return float(np.median(np.abs(self.gain[self.moving]))) if self.moving.any() else 1.0

    @property
    def shifted(self) -> bool:
        """Whether a constant was added that matters beside the signal."""
        return bool((np.abs(self.offset) > 0.03 * max(1.0, self.scale)).any())

    @property
    def scaled(self) -> bool:
        """Whether that magnitude is not 1."""
        return not 0.95 < self.scale < 1.05


def fit_relation(logged: Array, expected: Array, variants: Mapping[str, Array] | None = None) -> Relation:
    """Find the simplest relation between two channels.

    Args:
        logged: What the log holds, (T, k).
        expected: What it should hold, (T, k).
        variants: Other things that it may hold by mistake, by name, (T, k) each.
    """
    fits = [
        _fit(logged, candidate, delay, name)
        for name, candidate in {"": expected, **(variants or {})}.items()
        for delay in range(min(MAX_DELAY, len(logged) // 4) + 1)
    ]
    best = min(fits, key=_cost)
    plain = _plain(logged, expected)
    return plain if plain.residual <= _PLAIN * best.residual + 0.01 else best


def _cost(relation: Relation) -> float:
    """Return a relation's residual with what its complexity costs."""
    changes = relation.reordered + bool(len(relation.flipped)) + relation.scaled + relation.shifted
    return (
        relation.residual
        + _DELAY_COST * relation.delay
        + _VARIANT_COST * bool(relation.variant)
        + _CHANGE_COST * changes
    )


def _plain(logged: Array, expected: Array) -> Relation:
    """Return the relation of a channel that holds what it should hold."""
    count = logged.shape[1]
    moving = (logged.std(axis=0) > _STILL) & (expected.std(axis=0) > _STILL)
    return Relation(
        np.arange(count), np.ones(count), np.zeros(count), 0, "", _residual(logged, logged - expected), moving
    )


def _residual(logged: Array, rest: Array) -> float:
    """Return what is left of a channel, as a share of its spread; absolute where it stands still."""
    spread = float(np.sqrt((logged.std(axis=0) ** 2).mean()))
    return float(np.sqrt((rest**2).mean())) / spread if spread > _STILL else float(np.abs(rest).max())


def _fit(logged: Array, expected: Array, delay: int, variant: str) -> Relation:
    y, x = logged[delay:], expected[: len(expected) - delay]
    moving = (y.std(axis=0) > _STILL) & (x.std(axis=0) > _STILL)
    order = np.arange(y.shape[1])
    if moving.sum() > 1:
        places = np.flatnonzero(moving)
        order[places] = places[_assigned(_likeness(y[:, places], x[:, places]))]
    gain, offset = np.ones(y.shape[1]), (y - x[:, order]).mean(axis=0)
    for column in np.flatnonzero(moving):
        source = x[:, order[column]]
        centred = source - source.mean()
        gain[column] = float(centred @ (y[:, column] - y[:, column].mean()) / (centred @ centred))
        offset[column] = float(y[:, column].mean() - gain[column] * source.mean())
    rest = y - (x[:, order] * gain + offset)
    return Relation(order, gain, offset, delay, variant, _residual(y, rest), moving)


def _likeness(y: Array, x: Array) -> Array:
    """Return the absolute correlation of every logged column, row, with every expected one, column."""
    a, b = (y - y.mean(axis=0)) / y.std(axis=0), (x - x.mean(axis=0)) / x.std(axis=0)
    found: Array = np.abs(a.T @ b) / len(y)
    return found + 0.02 * np.eye(len(found))  # where two columns look alike, each stays in its place


def _assigned(likeness: Array) -> NDArray[np.int64]:
    """Return the assignment of columns that is most alike in all."""
    from scipy.optimize import linear_sum_assignment

    _, columns = linear_sum_assignment(-likeness)
    return np.asarray(columns, dtype=np.int64)
