"""Trials of a sweep on a platform, as the platform knows them."""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import UsageError
from ..platforms.base import ListsTrials, TrialRun
from ..run_handle import Run
from ..status import RunStatus
from ..variations import SweepDesign
from .objective import result_name, unknown_objective
from .ranking import COMPLETED, FAILED, RUNNING, SweepTrial


def remote_trials(run: Run, design: SweepDesign) -> list[SweepTrial]:
    """Return the trials of a sweep; runs that differ in their seed alone are one trial.

    Raises:
        UsageError: The platform has no sweeps.
        GaitwayError: It does not answer.
    """
    platform = run.platform
    if not isinstance(platform, ListsTrials):
        raise UsageError(f"{platform.name} does not list the trials of a sweep", source=f"run {run.name}")
    groups: dict[tuple[tuple[str, str], ...], list[TrialRun]] = {}
    for found in platform.list_trials(run.current().ref, run.run_dir, design):
        groups.setdefault(tuple(found.values.items()), []).append(found)
    return [_trial(number, runs, design) for number, runs in enumerate(groups.values())]


def _trial(number: int, runs: Sequence[TrialRun], design: SweepDesign) -> SweepTrial:
    failed = next((run for run in runs if run.status in (RunStatus.FAILED, RunStatus.CANCELLED)), None)
    done = [run for run in runs if run.status is RunStatus.SUCCEEDED]
    status = FAILED if failed else COMPLETED if len(done) == len(runs) else RUNNING
    return SweepTrial(
        number=number,
        status=status,
        values=dict(runs[0].values),
        by_seed=tuple(_objective(run, design.objective) for run in done),
        runs=tuple(run.name for run in runs),
        reason=failed.detail if failed else "",
    )


def _objective(run: TrialRun, metric: str) -> float:
    for name in (metric, result_name(metric)):
        if name in run.metrics:
            return run.metrics[name]
    raise unknown_objective(run.name, metric, list(run.metrics))
