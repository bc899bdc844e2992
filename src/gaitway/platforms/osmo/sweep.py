"""Sweep on OSMO: one workflow with a task for each run of each trial, all at the same time.

OSMO draws no values itself: the trials are drawn here, by the seed, and are the same whenever they are drawn again.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from gaitway_runtime.spec.job import TrainJob
from gaitway_runtime.spec.result import numbers_of

from ...errors import UsageError
from ...settings.resolve import declared
from ...variations import Assignment, SweepDesign
from ..base import RunRef, RunStatus, StatusReport, TrialRun
from . import client
from .checks import MAX_TASKS
from .query import TaskState, query_workflow
from .status import newest_lines, result_of_task, status_of
from .submit_record import workflows_of


@dataclass(frozen=True)
class TrialTask:
    """A task of a sweep: one run of one trial."""

    name: str
    values: Assignment
    seed: int

    def job(self, base: TrainJob) -> TrainJob:
        """Return the training of the task. It registers no model: the winner's training does."""
        known = declared([TrainJob])
        settings = {key: known[key].parse(text, f"--vary {key}") for key, text in self.values.items() if "." not in key}
        overrides = (*base.overrides, *(f"{key}={text}" for key, text in self.values.items() if "." in key))
        fixed = {"overrides": overrides, "seed": self.seed}
        return dataclasses.replace(
            base, **{**settings, **fixed, "register_checkpoint": None, "skip_register_checkpoint": True}
        )


def trial_tasks(design: SweepDesign) -> list[TrialTask]:
    """Return the tasks of a sweep.

    Raises:
        UsageError: There are more than a workflow may have.
    """
    found = list(_tasks(design))
    if len(found) > MAX_TASKS:
        raise UsageError(
            f"{len(found)} runs are too many for one workflow",
            source="--trials, --seeds",
            allowed=f"at most {MAX_TASKS} on OSMO",
            hint="several sweeps with different --seed, or --on azureml",
        )
    return found


def _tasks(design: SweepDesign) -> Iterator[TrialTask]:
    for number, values in enumerate(design.assignments(), 1):
        for seed in design.seeds:
            name = f"trial-{number:03d}" + (f"-s{seed}" if len(design.seeds) > 1 else "")
            yield TrialTask(name, values, seed)


def sweep_report(workflows: Sequence[str]) -> StatusReport:
    """Return how a sweep is doing: how many of its tasks have ended.

    Args:
        workflows: Those that have done its tasks, the newest last: a restart is a workflow of the tasks that are left.

    Raises:
        GaitwayError: OSMO does not answer.
    """
    found, tasks = query_workflow(workflows[-1]), _states(workflows)
    status = status_of(found.word)
    done = sum(status_of(task.status) is RunStatus.SUCCEEDED for task in tasks.values())
    detail = f"{done} of {len(tasks)} runs completed" if tasks else f"OSMO says {found.word}"
    code = {RunStatus.SUCCEEDED: 0, RunStatus.FAILED: 1, RunStatus.CANCELLED: 130}.get(status)
    return StatusReport(status, found.word, detail, code)


def _states(workflows: Sequence[str]) -> dict[str, TaskState]:
    """Return the state of each task, by name, in the last of the workflows that has it."""
    return {task.name: task for name in workflows for task in query_workflow(name).tasks}


def list_trials(ref: RunRef, run_dir: Path, design: SweepDesign) -> list[TrialRun]:
    """Return the runs of a sweep: their states, and the results in their logs.

    Raises:
        GaitwayError: OSMO does not answer.
    """
    workflows = workflows_of(run_dir, ref.id)
    states, lines = _states(workflows), newest_lines(workflows)
    found = []
    for task in _tasks(design):
        state, result = states.get(task.name), result_of_task(lines, task.name)
        metrics: Mapping[str, float] = numbers_of(result.metrics) if result else {}
        status = status_of(state.status) if state else RunStatus.UNKNOWN
        if status is RunStatus.SUCCEEDED and result is None:
            status = RunStatus.UNKNOWN  # its log has not been brought yet
        detail = str(result.error["message"]) if result and result.error else ""
        if state and state.failure_message and not detail:
            detail = client.shorten(state.failure_message)
        found.append(TrialRun(name=task.name, status=status, values=task.values, metrics=metrics, detail=detail))
    return found
