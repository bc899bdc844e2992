"""Log of a robot that ran a policy: what was measured, seen and done, at one row a control step."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..simulators.mujoco import engine
from ..spec.errors import UsageError

Array = NDArray[np.float64]

CHANNELS: dict[str, int | None] = {
    "observations": None,
    "actions": None,
    "targets": None,
    "joint_pos": None,
    "joint_vel": None,
    "joint_effort": None,
    "base_quat": 4,
    "base_ang_vel": 3,
    "base_lin_vel": 3,
    "base_pos": 3,
    "command": 3,
}
"""Channels of a log by name, with their width where it is fixed."""


_LONGEST_STEP = 1.0
"""A policy is asked more often than this [s]."""

_CLOCKS = (("milliseconds", 1e3), ("microseconds", 1e6), ("nanoseconds", 1e9))


@dataclass(frozen=True, kw_only=True)
class RobotLog:
    """A log, T rows long. A channel that was not recorded is None."""

    source: str
    """File it was read from."""
    time: Array
    """(T,) [s]."""
    joint_names: tuple[str, ...] = ()
    """Order of the joint channels and of ``targets``; the contract's order where it is empty."""
    observations: Array | None = None
    """The policy's input vectors, (T, observations)."""
    actions: Array | None = None
    """The policy's raw output vectors, (T, actions)."""
    targets: Array | None = None
    """Joint position targets, (T, joints) [rad]."""
    joint_pos: Array | None = None
    """(T, joints) [rad]."""
    joint_vel: Array | None = None
    """(T, joints) [rad/s]."""
    joint_effort: Array | None = None
    """(T, joints) [N m]."""
    base_quat: Array | None = None
    """Orientation of the base in the world, (T, 4), w x y z."""
    base_ang_vel: Array | None = None
    """Angular velocity in the base frame, (T, 3) [rad/s]: the gyroscope."""
    base_lin_vel: Array | None = None
    """Linear velocity in the base frame, (T, 3) [m/s]."""
    base_pos: Array | None = None
    """Position in the world, (T, 3) [m]."""
    command: Array | None = None
    """Velocity command, (T, 3) [m/s, m/s, rad/s]."""

    def __len__(self) -> int:
        return len(self.time)

    @property
    def channels(self) -> dict[str, Array]:
        """The channels that were recorded, by name."""
        found = {name: getattr(self, name) for name in CHANNELS}
        return {name: values for name, values in found.items() if values is not None}

    def checked(self) -> RobotLog:
        """Return the log, once it is known to be whole.

        Raises:
            UsageError: It is too short, a channel has another length or width, a number is not finite, or time does
                not increase; the error names the channel and the row.
        """
        if len(self) < 20:
            raise UsageError(f"the log has {len(self)} rows", source=self.source, allowed="at least 20")
        for name, values in {"time": self.time[:, None], **self.channels}.items():
            width = CHANNELS.get(name)
            if len(values) != len(self):
                raise UsageError(f"channel {name} has {len(values)} rows, time has {len(self)}", source=self.source)
            if width and values.shape[1] != width:
                raise UsageError(f"channel {name} has {values.shape[1]} columns instead of {width}", source=self.source)
            bad = np.flatnonzero(~np.isfinite(values).all(axis=1))
            if len(bad):
                raise UsageError(
                    f"channel {name} is not finite in {len(bad)} rows, first in row {bad[0]}",
                    source=self.source,
                    hint="cut the log there, or leave the channel out",
                )
        late = np.flatnonzero(np.diff(self.time) <= 0)
        if len(late):
            raise UsageError(f"time does not increase after row {late[0]}", source=self.source)
        self._check_units()
        return self

    def _check_units(self) -> None:
        """Refuse a clock that is not in seconds and quaternions that are none.

        Raises:
            UsageError: Rows are a second and more apart, or a quaternion has another length than 1.
        """
        step = float(np.median(np.diff(self.time)))
        if step >= _LONGEST_STEP:
            unit = next((name for name, factor in _CLOCKS if step / factor < _LONGEST_STEP), "")
            raise UsageError(
                f"the log's rows are {step:g} apart, and time is in seconds",
                source=self.source,
                hint=f"this looks like {unit}: divide it" if unit else "divide it",
            )
        if self.base_quat is not None:
            odd = np.flatnonzero(np.abs(np.linalg.norm(self.base_quat, axis=1) - 1.0) > 0.05)
            if len(odd):
                raise UsageError(f"channel base_quat is no unit quaternion in row {odd[0]}", source=self.source)

    def in_order(self, joint_names: tuple[str, ...]) -> RobotLog:
        """Return the log with its joint channels in another order.

        Raises:
            UsageError: A joint is missing in the log.
        """
        if not self.joint_names or self.joint_names == joint_names:
            return self
        missing = [name for name in joint_names if name not in self.joint_names]
        if missing:
            raise UsageError(
                f"the log has no joint {missing[0]}", source=self.source, allowed=", ".join(self.joint_names)
            )
        columns = [self.joint_names.index(name) for name in joint_names]
        moved = {
            name: values[:, columns]
            for name in ("targets", "joint_pos", "joint_vel", "joint_effort")
            if (values := getattr(self, name)) is not None and values.shape[1] == len(self.joint_names)
        }
        return dataclasses.replace(self, joint_names=joint_names, **moved)

    def resampled(self, dt: float) -> RobotLog:
        """Return the log at another rate, by the nearest row.

        Args:
            dt: Time between two rows [s].
        """
        grid = np.arange(self.time[0], self.time[-1] + dt / 2, dt)
        rows = np.clip(np.searchsorted(self.time, grid - 1e-9), 0, len(self) - 1)
        before = np.maximum(rows - 1, 0)
        nearest = np.where(np.abs(self.time[before] - grid) < np.abs(self.time[rows] - grid), before, rows)
        moved = {name: values[nearest] for name, values in self.channels.items()}
        return RobotLog(source=self.source, time=grid, joint_names=self.joint_names, **moved)


def rotation(quat: Array) -> Array:
    """Return rotation matrices, (T, 3, 3), base to world, of quaternions w x y z, (T, 4)."""
    unit = quat / np.linalg.norm(quat, axis=1, keepdims=True)
    return np.moveaxis(engine.rotation(unit), -1, 0)


def gravity(quat: Array) -> Array:
    """Return the unit vector of gravity in the base frame, (T, 3), of quaternions w x y z, (T, 4)."""
    return -rotation(quat)[:, 2, :]
