"""Training curves of a run, wherever its job wrote them: files of its outputs, or MLflow."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gaitway_runtime.spec.files import METRICS_FILE, database_path
from gaitway_runtime.spec.job_document import from_document
from gaitway_runtime.spec.run_context import RunContext

from .errors import GaitwayError
from .ledger import read_document
from .platforms.base import KeepsMetrics, StatusReport
from .progress import reports
from .run_handle import Run

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

Curve = list[tuple[float, float]]
"""Iteration and value."""

PROGRESS_NAMES = {
    "reward": "Train/mean_reward",
    "episode_length": "Train/mean_episode_length",
    "steps_per_s": "Perf/total_fps",
}
"""Names of the metrics that a progress report holds, by the report's own names."""


@dataclass(frozen=True)
class TrainingCurves:
    """The metrics of a training by name, as far as it has got."""

    curves: Mapping[str, Curve]
    note: str = ""
    """Why there are none, or only those of the progress reports."""


def read_curves(run: Run, mlflow_run_id: str | None = None, report: StatusReport | None = None) -> TrainingCurves:
    """Return the training curves of a run.

    They come from the metrics file of a run that has no tracking server, else from MLflow, else from the progress
    reports. Files that are elsewhere are brought first, see :func:`fetch_metrics`.

    Args:
        run: The run.
        mlflow_run_id: MLflow's id of it, where it is known.
        report: How it is doing, where that has just been asked.
    """
    note = fetch_metrics(run, report)
    found = file_curves(run.run_dir)
    if not found and not note and not mlflow_run_id:
        mlflow_run_id, note = find_mlflow_run(run)
    if not found and mlflow_run_id:
        found, note = _tracked_curves(run, mlflow_run_id)
    elif not found and not note:
        note = "no MLflow run is known yet"
    return TrainingCurves(found or progress_curves(run.run_dir), "" if found else note)


def find_mlflow_run(run: Run) -> tuple[str | None, str]:
    """Return MLflow's id of a run elsewhere that has not told it, once its server knows the run, and why there is none.

    Args:
        run: The run; one of this machine tells its id itself.
    """
    if not run.platform.limits.remote:
        return None, ""
    known = _mlflow_runs.get(run.run_dir)
    if known:
        return known, ""
    try:
        from gaitway_runtime.stores.tracking_server import outlives_job

        from .checkpoints import listing  # imports the stores, which most commands do without
        from .checkpoints.run_folder import RunFolder

        if not outlives_job(_context(run)):
            return None, ""  # nothing of it is tracked anywhere; asking would make a store here
        found = listing.newest_tracked_run(RunFolder.at(run.record, run.run_dir))
    except GaitwayError as error:
        return None, error.message
    if found:
        _mlflow_runs[run.run_dir] = found
    return found, ""


_mlflow_runs: dict[Path, str] = {}
"""MLflow's ids that were found, by the run's folder."""


def fetch_metrics(run: Run, report: StatusReport | None = None, *, quick: bool = False) -> str:
    """Bring the metrics and the progress of a run that keeps them elsewhere; return why that is not possible.

    Args:
        run: The run.
        report: How it is doing, where that has just been asked.
        quick: Whether to do without what takes more than a moment.
    """
    platform = run.platform
    if not isinstance(platform, KeepsMetrics):
        return ""
    try:
        ended = (report or run.status()).status.ended
        platform.fetch_metrics(run.current().ref, run.run_dir, ended=ended, quick=quick)
    except GaitwayError as error:
        return error.message
    return ""


def file_curves(run_dir: Path) -> dict[str, Curve]:
    """Return the curves in the metrics file of a run's folder; none where there is no such file."""
    curves: dict[str, Curve] = {}
    try:
        lines = (run_dir / "outputs" / METRICS_FILE).read_bytes().splitlines()
    except OSError:
        return {}
    for line in lines:
        try:
            document = json.loads(line)
            step, metrics = float(document["step"]), dict(document["metrics"])
        except (ValueError, TypeError, KeyError, RecursionError):
            continue  # the last line of a run that has not ended may be half of one
        for name, value in metrics.items():
            if isinstance(value, int | float) and not isinstance(value, bool):
                curves.setdefault(str(name), []).append((step, float(value)))
    return curves


def progress_curves(run_dir: Path) -> dict[str, Curve]:
    """Return the curves of the progress reports in a run's folder."""
    curves: dict[str, Curve] = {}
    for record in reports(run_dir):
        if record.get("phase") == "train" and "iteration" in record:
            for key, name in PROGRESS_NAMES.items():
                value = record.get(key)
                if isinstance(value, float | int):
                    curves.setdefault(name, []).append((record["iteration"], float(value)))
            evaluation = record.get("evaluation", {})
            for name, value in evaluation.items():
                curve = curves.setdefault(f"Evaluation/{name}", []) if name != "iteration" else []
                point = (float(evaluation.get("iteration", 0)), float(value))
                if point not in curve[-1:]:
                    curve.append(point)
    return curves


def _tracked_curves(run: Run, run_id: str) -> tuple[dict[str, Curve], str]:
    """Return the metrics that MLflow has of a run, and why there are none."""
    try:
        from gaitway_runtime.stores.mlflow_client import open_client
        from gaitway_runtime.stores.tracking_server import tracking_uri_for, with_credentials

        context = _context(run)
        database = database_path(context.tracking_uri or os.environ.get("MLFLOW_TRACKING_URI", ""))
        if database and not database.is_file():
            return {}, ""  # asking would make one
        uri = tracking_uri_for(context, os.environ)
        return _local_history(uri, run_id) or _history(open_client(with_credentials(uri)), run_id), ""
    except GaitwayError as error:
        return {}, error.message


def _local_history(uri: str, run_id: str) -> dict[str, Curve]:
    """Return the metrics of a run in a store of this machine; nothing where MLflow has to be asked."""
    from gaitway_runtime.stores.local_history import read_history

    database = database_path(uri)
    found = read_history(database, run_id) if database else None
    return {name: [(float(step), value) for step, value in curve] for name, curve in (found or {}).items()}


def _history(client: MlflowClient, run_id: str) -> dict[str, Curve]:
    from gaitway_runtime.spec.registry import ForeignError, call_foreign

    try:
        found = call_foreign(
            lambda: {
                name: client.get_metric_history(run_id, name) for name in sorted(client.get_run(run_id).data.metrics)
            }
        )
    except ForeignError as error:
        raise GaitwayError(f"the tracking server does not answer: {error}") from None
    return {name: sorted((metric.step, metric.value) for metric in metrics) for name, metrics in found.items()}


def _context(run: Run) -> RunContext:
    return from_document(read_document(run.run_dir, "job.json") or {}, "job.json")[1]
