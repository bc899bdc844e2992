"""Metrics of runs in a store that is a file of this machine, read without MLflow: importing it takes seconds."""

from __future__ import annotations

import math
import sqlite3
from contextlib import closing
from pathlib import Path

LOCKED_S = 20.0
"""How long to wait for a process that writes [s]."""


def read_history(database: Path, run_id: str) -> dict[str, list[tuple[int, float]]] | None:
    """Return the metrics of a run, each as steps and values in order; None where MLflow itself has to be asked.

    Args:
        database: File of an MLflow store; it is only read.
        run_id: MLflow's id of the run.
    """
    try:
        with closing(sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro", uri=True, timeout=LOCKED_S)) as store:
            if not store.execute("SELECT 1 FROM runs WHERE run_uuid = ?", (run_id,)).fetchone():
                return None
            rows = store.execute(
                "SELECT key, step, value, is_nan FROM metrics WHERE run_uuid = ? ORDER BY key, step", (run_id,)
            ).fetchall()
    except sqlite3.Error:
        return None  # another schema, or damage: MLflow has the words for it
    history: dict[str, list[tuple[int, float]]] = {}
    for name, step, value, is_nan in rows:
        history.setdefault(str(name), []).append((int(step), math.nan if is_nan else float(value)))
    return history
