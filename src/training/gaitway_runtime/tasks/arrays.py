"""Arrays of numbers over all worlds, and what terms do with them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def wrap_to_pi(angle: Array) -> Array:
    """Wrap angles to [-pi, pi) [rad]."""
    wrapped: Array = (angle + np.pi) % (2.0 * np.pi) - np.pi
    return wrapped


def row_sum(values: NDArray[Any]) -> Array:
    """Sum over the last axis, (N, k) to (N,); as a product, because numpy is slow at summing short rows."""
    summed: Array = values @ np.ones(values.shape[1])
    return summed
