"""Faults of a log's timing: another control rate, dropped frames, stale observations."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..spec.contract import PolicyContract
from .faults import LogFault
from .robot_log import Array, RobotLog


def timing_faults(log: RobotLog, contract: PolicyContract) -> Iterator[LogFault]:
    """Yield what is wrong with the log's clock: another control rate, missing rows."""
    wanted = contract.timing.control_dt
    steps = np.diff(log.time)
    usual = float(np.median(steps))
    control = usual if log.observations is None else _control_dt(log.time, log.observations)
    if wanted and not 0.9 < control / wanted < 1.1:
        yield LogFault(
            kind="rate",
            where="time",
            cause="The control loop runs at another rate than the policy was trained for",
            evidence=f"its steps are {control * 1e3:.1f} ms apart, the contract says {wanted * 1e3:.1f} ms",
            advice="run the policy at the contract's control_dt",
        )
    gaps = np.flatnonzero(steps > 1.5 * usual)
    if len(gaps):
        lost = int(np.round(steps[gaps] / usual - 1).sum())
        yield LogFault(
            kind="dropped",
            where="time",
            cause="Frames were dropped",
            evidence=f"{lost} rows are missing at {len(gaps)} places, the first at {log.time[gaps[0]]:.2f} s",
            advice="look for what blocks the control loop or the recorder",
        )


def _control_dt(time: Array, observations: Array) -> float:
    """Return the time between two observations that differ [s]; a log may have several rows for each."""
    changed = np.flatnonzero((np.diff(observations, axis=0) != 0).any(axis=1))
    return float(np.median(np.diff(time[changed]))) if len(changed) > 2 else float(np.median(np.diff(time)))


def stale_observation_faults(log: RobotLog) -> Iterator[LogFault]:
    """Yield the observations that the policy was given twice, while the robot moved on."""
    if log.observations is None or log.joint_pos is None:
        return
    repeated = (np.diff(log.observations, axis=0) == 0).all(axis=1)
    moved = (np.diff(log.joint_pos, axis=0) != 0).any(axis=1)
    count = int((repeated & moved).sum())
    if count > 0.005 * len(log):
        yield LogFault(
            kind="dropped",
            where="observations",
            cause="The policy was given stale observations",
            evidence=f"{count} of {len(log)} observations repeat the one before while the joints moved",
            advice="read the sensors once in each control step",
        )
