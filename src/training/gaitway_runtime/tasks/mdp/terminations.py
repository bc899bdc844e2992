"""Termination terms beside the time limit. Each returns (N,) booleans."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..state import State
from . import observations


def joint_pos_out_of_range(state: State, joint: int, bounds: tuple[float, float]) -> NDArray[np.bool_]:
    """A joint left its bounds [rad] or [m]."""
    position = state.joint_pos[:, joint]
    return (position < bounds[0]) | (position > bounds[1])


def illegal_contact(state: State, group: str) -> NDArray[np.bool_]:
    """A body of a group touched in the last three physics steps."""
    touched: NDArray[np.bool_] = np.logical_or.reduce(state.contacts[group].touched, axis=1)
    return touched


def root_height_below_minimum(state: State, minimum: float) -> NDArray[np.bool_]:
    """The root is lower than a height over the world's origin [m]."""
    return state.root_pos_w[:, 2] < minimum


def base_height_below(state: State, minimum: float) -> NDArray[np.bool_]:
    """The base is lower than a height over the ground below it [m]."""
    return observations.base_height(state) < minimum


def tilted(state: State, cosine: float) -> NDArray[np.bool_]:
    """The base's up axis is further from the vertical than an angle of a given cosine."""
    return -state.projected_gravity_b[:, 2] < cosine
