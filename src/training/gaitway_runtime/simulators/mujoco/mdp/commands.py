"""Velocity commands, as Isaac Lab's ``UniformVelocityCommand`` draws and updates them."""

from __future__ import annotations

import numpy as np

from ..engine import Ids
from ..state import Array, State, wrap_to_pi
from ..tasks.cfg import VelocityCommand
from .rewards import sum_of_squares


class VelocityCommands:
    """The commands of all worlds; ``State.command`` is the array this class writes.

    Args:
        cfg: Ranges and times.
        num_envs: Worlds.
        step_dt: Length of a control step [s].
        rng: Source of the draws.
    """

    def __init__(self, cfg: VelocityCommand, num_envs: int, step_dt: float, rng: np.random.Generator) -> None:
        self.cfg = cfg
        self._step_dt = step_dt
        self._rng = rng
        self.command = np.zeros((num_envs, 3))
        self.heading_target = np.zeros(num_envs)
        self.is_heading = np.zeros(num_envs, np.bool_)
        self.is_standing = np.zeros(num_envs, np.bool_)
        self.time_left = np.zeros(num_envs)
        self._error_xy = np.zeros(num_envs)
        self._error_yaw = np.zeros(num_envs)
        self._per_step = step_dt / cfg.resampling_time[1]

    def resample(self, ids: Ids) -> None:
        """Draw new commands for some worlds."""
        cfg, draw = self.cfg, self._rng.random((8, len(ids)))
        self.time_left[ids] = _scaled(draw[0], cfg.resampling_time)
        for axis, bounds in enumerate((cfg.lin_vel_x, cfg.lin_vel_y, cfg.ang_vel_z)):
            self.command[ids, axis] = _scaled(draw[1 + axis], bounds)
        self.heading_target[ids] = _scaled(draw[4], cfg.heading)
        self.is_heading[ids] = draw[5] < cfg.rel_heading_envs
        self.is_standing[ids] = draw[6] < cfg.rel_standing_envs

    def update(self, state: State) -> None:
        """Account for a step's errors, draw where the time is up, and steer the headings."""
        error_xy = self.command[:, :2] - state.root_lin_vel_b[:, :2]
        self._error_xy += np.sqrt(sum_of_squares(error_xy)) * self._per_step
        self._error_yaw += np.abs(self.command[:, 2] - state.root_ang_vel_b[:, 2]) * self._per_step
        self.time_left -= self._step_dt
        due = np.flatnonzero(self.time_left < 1e-6)
        if due.size:
            self.resample(due)
        self.steer(state)

    def steer(self, state: State) -> None:
        """Turn heading targets into yaw rates and hold standing worlds at zero."""
        cfg = self.cfg
        turn: Array = wrap_to_pi(self.heading_target - state.heading_w) * cfg.heading_stiffness
        np.clip(turn, *cfg.ang_vel_z, out=turn)
        np.copyto(self.command[:, 2], turn, where=self.is_heading)
        self.command[self.is_standing] = 0.0

    def finish(self, ids: Ids, counted: Ids) -> dict[str, float]:
        """Start new episodes in some worlds; return the mean errors of the counted ones by TensorBoard tag.

        As in Isaac Lab the errors are summed over the episode and divided by the longest time between commands, so
        that a full episode of two commands logs about twice its mean error.
        """
        log = {}
        if counted.size:
            log["Metrics/base_velocity/error_vel_xy"] = float(self._error_xy[counted].mean())
            log["Metrics/base_velocity/error_vel_yaw"] = float(self._error_yaw[counted].mean())
        self._error_xy[ids] = 0.0
        self._error_yaw[ids] = 0.0
        self.resample(ids)
        return log


def _scaled(unit: Array, bounds: tuple[float, float]) -> Array:
    return bounds[0] + (bounds[1] - bounds[0]) * unit
