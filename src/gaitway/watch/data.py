"""Data of the training page: a run's status, its curves, the end of its log."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import TypedDict

from ..curves import Curve, read_curves
from ..progress import ProgressRecord, last_report
from ..run_handle import Run
from .films import fetch_newest_film, films_of

LOG_LINES = 200


class TrainingData(TypedDict):
    """What the page shows."""

    run: str
    task: str
    platform: str
    status: str
    detail: str
    progress: ProgressRecord | None
    curves: Mapping[str, Curve]
    note: str
    log: list[str]
    films: list[str]


def read_training(run: Run) -> TrainingData:
    """Return what is known of a run now; a tracking server that does not answer is a note, not an error."""
    report = run.status()
    document = run.document(report)
    mlflow_run_id = document["mlflow_run_id"] or _run_id(document["tracking_url"])
    found = read_curves(run, mlflow_run_id, report)
    note = found.note or fetch_newest_film(run, mlflow_run_id)
    return {
        "run": run.name,
        "task": document["task"],
        "platform": document["platform"],
        "status": document["status"],
        "detail": document["detail"],
        "progress": last_report(run.run_dir),
        "curves": found.curves,
        "note": note,
        "log": [] if run.platform.limits.remote else list(deque(run.logs(), LOG_LINES)),
        "films": films_of(run.run_dir / "outputs"),
    }


def _run_id(url: str | None) -> str | None:
    return url.rpartition("/")[2] if url else None
