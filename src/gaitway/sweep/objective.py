"""The objective of a sweep: its value at the end of a run, and its curve while the run goes on."""

from __future__ import annotations

from gaitway_runtime.spec.result import numbers_of

from ..curves import PROGRESS_NAMES, Curve, progress_curves, read_curves
from ..errors import UsageError, nearest
from ..progress import last_report
from ..resuming import noted_run
from ..run_handle import Run
from ..status import StatusReport


def final_value(run: Run, report: StatusReport, metric: str) -> float:
    """Return the objective of a run that has ended: from its result, else the last that it tracked.

    Raises:
        UsageError: It reports nothing of that name; the error names the nearest.
    """
    known = numbers_of(report.result.metrics if report.result else {})
    name = result_name(metric)
    if name in known:
        return known[name]
    tracked = read_curves(run, report.result.mlflow_run_id if report.result else None, report).curves
    if tracked.get(metric):
        return float(tracked[metric][-1][1])
    raise unknown_objective(run.name, metric, [*known, *tracked])


def unknown_objective(run: str, metric: str, names: list[str]) -> UsageError:
    """Return the error of a run that does not report the objective."""
    close = nearest(metric, names)
    return UsageError(
        f"run '{run}' reports no number '{metric}'",
        source="--objective",
        allowed=", ".join(names) or None,
        hint=f"did you mean {close}?" if close else None,
    )


def result_name(metric: str) -> str:
    """Return the name that a tracked metric of a training has in its result."""
    return metric.removeprefix("Train/")


def is_reported(metric: str) -> bool:
    """Whether a job reports a metric as its progress, so that looking at it costs next to nothing."""
    return metric in PROGRESS_NAMES.values()


def objective_curve(run: Run, metric: str) -> tuple[Curve, float]:
    """Return the objective over the iterations so far, and the iterations that there will be."""
    total = float((last_report(run.run_dir) or {}).get("total", 0))
    if is_reported(metric):
        return progress_curves(run.run_dir).get(metric, []), total
    return read_curves(run, noted_run(run.run_dir)).curves.get(metric, []), total
