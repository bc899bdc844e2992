"""A helping hand on the base in training, see :class:`gaitway_runtime.tasks.environment.Assist`."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from ...tasks.arrays import Array
from ...tasks.environment import Assist
from ...tasks.state import State
from .engine import Engine

_SMOOTHING = 0.01
"""Weight of the newest step in the smoothed measurements."""


class AssistingWrench:
    """The wrench on every world's base, and the level to which it has faded.

    Args:
        cfg: Strength, and when it fades.
        engine: The worlds.
        rng: Source of the shares' order.
    """

    SAVED: ClassVar[tuple[str, ...]] = ("level", "_share", "_helped", "_steps", "_fall_rate", "_error")

    def __init__(self, cfg: Assist, engine: Engine, rng: np.random.Generator) -> None:
        self.cfg = cfg
        self.level = 1.0
        """From 1 to 0."""
        count = len(engine.qpos)
        self._share = rng.permutation(np.linspace(0.0, 1.0, count))
        self._helped = self._share > 0.5
        self._wrench: Array = engine.external_wrench()
        self._steps = 0
        self._fall_rate, self._error = 1.0, 1.0

    def apply(self, state: State) -> None:
        """Set the wrench for the next control step, from the present state."""
        if self.level == 0.0:
            return
        cfg, strength = self.cfg, self.level * self._share
        velocity = np.einsum("nij,nj->ni", state.root_rot_w, state.root_lin_vel_b)
        turning = np.einsum("nij,nj->ni", state.root_rot_w, state.root_ang_vel_b)
        up = state.root_rot_w[:, :, 2]
        cos, sin = np.cos(state.heading_w), np.sin(state.heading_w)
        asked_x = cos * state.command[:, 0] - sin * state.command[:, 1]
        asked_y = sin * state.command[:, 0] + cos * state.command[:, 1]
        wrench = self._wrench
        wrench[:, 0] = strength * cfg.drive * (asked_x - velocity[:, 0])
        wrench[:, 1] = strength * cfg.drive * (asked_y - velocity[:, 1])
        # up x z: the axis about which the base must turn to stand upright
        wrench[:, 3] = strength * (cfg.upright * up[:, 1] - cfg.upright_damping * turning[:, 0])
        wrench[:, 4] = strength * (-cfg.upright * up[:, 0] - cfg.upright_damping * turning[:, 1])
        wrench[:, 5] = strength * cfg.turn * (state.command[:, 2] - turning[:, 2])

    def fade(self, state: State, fallen: NDArray[np.bool_]) -> None:
        """Let the level fall where the helped worlds do well; asked after every step, before any reset.

        Args:
            state: The worlds after the step.
            fallen: Worlds whose episode was terminated, (N,).
        """
        if self.level == 0.0:
            return
        error = np.hypot(*(state.command[self._helped, :2] - state.root_lin_vel_b[self._helped, :2]).T)
        self._fall_rate += _SMOOTHING * (fallen[self._helped].mean() - self._fall_rate)
        self._error += _SMOOTHING * (error.mean() - self._error)
        self._steps += 1
        if self._steps % self.cfg.every or self._fall_rate > self.cfg.fall_rate or self._error > self.cfg.error:
            return
        self.set_level(self.level * self.cfg.fading)

    def set_level(self, level: float) -> None:
        """Set the level, as a resumed training does; too low a one is none."""
        self.level = level if level >= self.cfg.least else 0.0
        if self.level == 0.0:
            self._wrench[:] = 0.0
