"""Metrics and tags of runs in a store that is a file of this machine, read without MLflow, which takes seconds."""

from __future__ import annotations

import math
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

LOCKED_S = 20.0
"""How long to wait for a process that writes [s]."""


def read_history(database: Path, run_id: str) -> dict[str, list[tuple[int, float]]] | None:
    """Return the metrics of a run, each as steps and values in order; None where MLflow itself has to be asked.

    Args:
        database: File of an MLflow store; it is only read.
        run_id: MLflow's id of the run.
    """
    rows = _rows(database, run_id, "SELECT key, step, value, is_nan FROM metrics WHERE run_uuid = ? ORDER BY key, step")
    if rows is None:
        return None
    history: dict[str, list[tuple[int, float]]] = {}
    for name, step, value, is_nan in rows:
        history.setdefault(str(name), []).append((int(step), math.nan if is_nan else float(value)))
    return history


def read_tags(database: Path, run_id: str) -> dict[str, str] | None:
    """Return the tags of a run; None where MLflow itself has to be asked.

    Args:
        database: File of an MLflow store; it is only read.
        run_id: MLflow's id of the run.
    """
    rows = _rows(database, run_id, "SELECT key, value FROM tags WHERE run_uuid = ?")
    return None if rows is None else {str(name): str(value) for name, value in rows}


def _rows(database: Path, run_id: str, question: str) -> list[tuple[Any, ...]] | None:
    """Return what a store answers about one of its runs; None where it has no such run or cannot be read."""
    try:
        with closing(sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro", uri=True, timeout=LOCKED_S)) as store:
            if not store.execute("SELECT 1 FROM runs WHERE run_uuid = ?", (run_id,)).fetchone():
                return None
            return store.execute(question, (run_id,)).fetchall()
    except sqlite3.Error:
        return None  # another schema, or damage: MLflow has the words for it
