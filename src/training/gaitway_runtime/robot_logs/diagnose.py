"""Diagnosis of a robot's log against a policy: every check, in order, and what was not checked."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..spec.contract import PolicyContract
from ..spec.errors import UsageError
from .action_faults import policy_faults, target_faults
from .drives import can_fit, drive_faults
from .expected import expected_term
from .faults import LogFault
from .observation_faults import observation_faults
from .plots import draw_faults
from .readers import read_log
from .robot_log import RobotLog
from .timing_faults import stale_observation_faults, timing_faults

if TYPE_CHECKING:
    from ..policies.confined.policy_file import AskedPolicy


@dataclass(frozen=True, kw_only=True)
class Diagnosis:
    """What was found in a log."""

    log: str
    policy: str
    seconds: float
    rows: int
    faults: tuple[LogFault, ...]
    unchecked: tuple[str, ...]
    """What could not be checked, and why."""
    notes: tuple[str, ...] = ()
    """What was done to the log before it was checked."""
    plots: tuple[Path, ...] = ()

    def document(self) -> dict[str, object]:
        """Return the diagnosis as JSON values."""
        return {
            "log": self.log,
            "policy": self.policy,
            "seconds": self.seconds,
            "rows": self.rows,
            "faults": [fault.document() for fault in self.faults],
            "notes": list(self.notes),
            "unchecked": list(self.unchecked),
            "plots": [str(path) for path in self.plots],
        }


def diagnose_log(path: Path, policy: Path, *, plots: Path | None = None) -> Diagnosis:
    """Name what differs between a robot's log and the contract of the policy that it ran.

    Args:
        path: The log; see :mod:`.readers`.
        policy: A policy with its contract: ``policy.onnx``, ``policy.pt`` or a checkpoint. It runs confined.
        plots: Gets a picture of every observation term with a fault; none are drawn when omitted.

    Raises:
        UsageError: The log or the policy cannot be read, or the policy has no contract.
        ConfigError: A package is not installed.
    """
    from ..policies.bundles import KINDS
    from ..policies.confined.policy_file import inspect, opened

    file = inspect(policy)
    if file.kind in KINDS:
        raise UsageError(
            "the policy takes sensors and computes its observations inside, where a log cannot be compared with them",
            source=str(policy),
            hint="name the policy.onnx or the checkpoint that it was made of",
        )
    with opened(file) as asked:
        contract = PolicyContract.from_json(file.contract, str(policy)) if file.contract else asked.contract
        if contract is None or not contract.observations:
            raise UsageError(
                "the policy says nothing of what it observes", source=str(policy), hint="export it with gaitway infer"
            )
        log = read_log(path)
        return _diagnosed(log, asked, contract, path, policy, plots)


def _diagnosed(
    log: RobotLog, asked: AskedPolicy, contract: PolicyContract, path: Path, policy: Path, plots: Path | None
) -> Diagnosis:
    """Return what differs between a log and its policy's contract."""
    faults = list(timing_faults(log, contract))
    log, notes = _aligned(log, contract)
    _check_degrees(log, contract)
    faults += [
        *stale_observation_faults(log),
        *observation_faults(log, contract),
        *policy_faults(log, asked, contract),
        *target_faults(log, contract),
    ]
    unchecked = _unchecked(log, contract)
    drives = _drives_unchecked(log, contract)
    if drives:
        unchecked.append(drives)
    else:
        faults += _drive_faults(log, contract)
    return Diagnosis(
        log=str(path),
        policy=str(policy),
        seconds=float(log.time[-1] - log.time[0]),
        rows=len(log),
        faults=tuple(faults),
        unchecked=tuple(unchecked),
        notes=notes,
        plots=tuple(draw_faults(log, contract, tuple(faults), plots)) if plots else (),
    )


def _aligned(log: RobotLog, contract: PolicyContract) -> tuple[RobotLog, tuple[str, ...]]:
    """Return the log in the contract's joint order, at its control rate, and what was done to it."""
    log = log.in_order(contract.robot.joint_names)
    dt = contract.timing.control_dt
    step = float(log.time[-1] - log.time[0]) / (len(log) - 1)
    if not dt or step >= 0.6 * dt:
        return log, ()
    slower = log.resampled(dt)
    rates = f"{1 / step:.0f} rows a second, the policy takes {1 / dt:.0f}"
    return slower, (f"the log has {rates}: read at the policy's rate, each time the nearest row ({len(slower)} rows)",)


def _check_degrees(log: RobotLog, contract: PolicyContract) -> None:
    """Refuse joints that are in degrees.

    Raises:
        UsageError: Most positions are beyond the joints' limits, and inside them as degrees.
    """
    limits = np.asarray(contract.robot.joint_pos_limits, dtype=np.float64)
    for name in ("joint_pos", "targets"):
        values = log.channels.get(name)
        if values is None or limits.shape != (values.shape[1], 2):
            continue
        low, high = limits.T
        beyond = (values < low) | (values > high)
        degrees = np.deg2rad(values)
        other = log.channels.get("targets" if name == "joint_pos" else "joint_pos")
        if other is not None and np.median(np.abs(degrees - other)) > 0.5:
            continue  # not the angle that the other channel follows: the robot has gone wild
        if beyond.mean() > 0.5 and ((degrees >= low - 0.1) & (degrees <= high + 0.1)).mean() > 0.99:
            raise UsageError(
                f"channel {name} is beyond the joints' limits, and within them if it is in degrees",
                source=log.source,
                allowed="rad",
                hint="np.deg2rad it",
            )


def _unchecked(log: RobotLog, contract: PolicyContract) -> list[str]:
    """Say what the log has no channels for."""
    if log.observations is None:
        return ["observations and the policy's answers: the log has no 'observations'"]
    found = []
    terms = [term.name for term in contract.observations if expected_term(log, contract, term) is None]
    if terms:
        found.append(f"observation {', '.join(terms)}: the log has no sensor channel for it")
    if log.actions is None:
        found.append("the policy's answers: the log has no 'actions'")
    if log.targets is None:
        found.append("joint targets: the log has no 'targets'")
    return found


def _drives_unchecked(log: RobotLog, contract: PolicyContract) -> str | None:
    """Say why the drives cannot be fitted, or None where they can."""
    from ..spec.catalog import find

    if not can_fit(log):
        return "drives: they need 'targets', 'joint_pos' and 'joint_vel'"
    if not any(term.kind == "joint_position" for term in contract.actions):
        return "drives: the policy does not command joint positions"
    if find(contract.task) is None:
        return f"drives: the embedded simulator has no task '{contract.task}'"
    return None


def _drive_faults(log: RobotLog, contract: PolicyContract) -> list[LogFault]:
    from ..simulators.mujoco.models import build_model

    model = build_model(contract.task, visual=False)
    return list(drive_faults(log, contract, model))
