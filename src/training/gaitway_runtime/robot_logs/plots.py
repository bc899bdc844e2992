"""Plots of a log's faults: what was logged over what the contract expects."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..spec.contract import PolicyContract
from .expected import expected_term
from .faults import LogFault
from .robot_log import RobotLog

SECONDS = 4.0
"""Length of the stretch that is drawn [s]."""
COLUMNS = 4
"""Most entries of a term that are drawn."""


def draw_faults(log: RobotLog, contract: PolicyContract, faults: tuple[LogFault, ...], folder: Path) -> list[Path]:
    """Draw every observation term that has a fault, and return the pictures.

    Args:
        log: The log, aligned with the contract.
        contract: The policy's contract.
        faults: What was found.
        folder: Gets one PNG a term.
    """
    from matplotlib.figure import Figure

    drawn: list[Path] = []
    if log.observations is None or log.observations.shape[1] != contract.observation_size:
        return drawn
    rows = log.time - log.time[0] <= SECONDS
    for term in contract.observations:
        expected = expected_term(log, contract, term)
        causes = [fault.cause for fault in faults if fault.where == term.name]
        if expected is None or not causes:
            continue
        logged = log.observations[:, term.start : term.stop]
        worst = np.argsort(-np.abs(logged - expected).mean(axis=0))[:COLUMNS]
        figure = Figure(figsize=(8, 1.6 * len(worst) + 0.8), layout="constrained")
        axes = np.atleast_1d(figure.subplots(len(worst), 1, sharex=True))
        for place, column in zip(axes, sorted(int(column) for column in worst), strict=True):
            place.plot(log.time[rows], expected[rows, column], label="contract and sensors", color="0.6", linewidth=2)
            place.plot(log.time[rows], logged[rows, column], label="logged", color="tab:red", linewidth=1)
            place.set_ylabel(term.joint_names[column] if term.joint_names else f"{term.name}[{column}]", fontsize=8)
        axes[0].set_title("; ".join(causes), fontsize=9)
        axes[0].legend(loc="upper right", fontsize=7)
        axes[-1].set_xlabel("time [s]")
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{term.name}.png"
        figure.savefig(path, dpi=110)
        drawn.append(path)
    return drawn
