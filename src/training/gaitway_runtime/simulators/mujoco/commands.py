"""Velocity commands, as Isaac Lab's ``UniformVelocityCommand`` draws and updates them."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from ...tasks.arrays import Array, wrap_to_pi
from ...tasks.environment import PoseCommand, VelocityCommand
from ...tasks.mdp.rewards import sum_of_squares
from ...tasks.state import State
from .engine import Ids


class VelocityCommands:
    """The commands of all worlds; ``State.command`` is the array this class writes.

    Args:
        cfg: Ranges and times.
        num_envs: Worlds.
        step_dt: Length of a control step [s].
        rng: Source of the draws.
    """

    SAVED: ClassVar[tuple[str, ...]] = (
        "command",
        "heading_target",
        "is_heading",
        "is_standing",
        "time_left",
        "_error_xy",
        "_error_yaw",
    )

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


class PoseCommands:
    """Poses to reach, as Isaac Lab's ``UniformPoseCommand`` draws them, in the array ``State.command``.

    Args:
        cfg: Ranges and times.
        num_envs: Worlds.
        step_dt: Length of a control step [s].
        rng: Source of the draws.
    """

    SAVED: ClassVar[tuple[str, ...]] = ("command", "time_left")

    def __init__(self, cfg: PoseCommand, num_envs: int, step_dt: float, rng: np.random.Generator) -> None:
        self.cfg = cfg
        self._step_dt = step_dt
        self._rng = rng
        self.command = np.zeros((num_envs, 7))
        """Position [m] and quaternion w, x, y, z in the base frame."""
        self.time_left = np.zeros(num_envs)

    def resample(self, ids: Ids) -> None:
        """Draw new poses for some worlds."""
        cfg, draw = self.cfg, self._rng.random((7, len(ids)))
        self.time_left[ids] = _scaled(draw[0], cfg.resampling_time)
        for axis, bounds in enumerate((cfg.pos_x, cfg.pos_y, cfg.pos_z)):
            self.command[ids, axis] = _scaled(draw[1 + axis], bounds)
        angles = (_scaled(draw[4 + k], bounds) for k, bounds in enumerate((cfg.roll, cfg.pitch, cfg.yaw)))
        self.command[ids, 3:] = quaternion(*angles)

    def update(self, state: State) -> None:
        """Let a step pass and draw where the time is up."""
        self.time_left -= self._step_dt
        due = np.flatnonzero(self.time_left < 1e-6)
        if due.size:
            self.resample(due)

    def finish(self, ids: Ids, counted: Ids) -> dict[str, float]:
        """Start new episodes in some worlds."""
        self.resample(ids)
        return {}


def quaternion(roll: Array, pitch: Array, yaw: Array) -> Array:
    """Return quaternions w, x, y, z of roll, pitch and yaw about the fixed axes x, y, z [rad], (n, 4)."""
    (cr, sr), (cp, sp), (cy, sy) = ((np.cos(angle / 2), np.sin(angle / 2)) for angle in (roll, pitch, yaw))
    return np.stack(
        (
            cr * cp * cy + sr * sp * sy,
            sr * cp * cy - cr * sp * sy,
            cr * sp * cy + sr * cp * sy,
            cr * cp * sy - sr * sp * cy,
        ),
        axis=1,
    )


def _scaled(unit: Array, bounds: tuple[float, float]) -> Array:
    return bounds[0] + (bounds[1] - bounds[0]) * unit
