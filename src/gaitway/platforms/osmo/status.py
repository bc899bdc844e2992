"""Status of a workflow in gaitway's words, its result, and its cancellation."""

from __future__ import annotations

import contextlib
import json
import re
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from gaitway_runtime.spec import result as results
from gaitway_runtime.spec.chain import combined
from gaitway_runtime.spec.marks import MEMORY_MARK, for_people, told_after
from gaitway_runtime.spec.result import RESULT_MARK, Result

from ...errors import PlatformError
from ..base import RunStatus, StatusReport
from . import client
from .logs import LogLine, task_lines
from .names import STAGE_TASKS
from .query import TaskState, query_workflow

STATUSES = {
    "PENDING": RunStatus.QUEUED,
    "WAITING": RunStatus.QUEUED,
    "RUNNING": RunStatus.RUNNING,
    "COMPLETED": RunStatus.SUCCEEDED,
    "FAILED_CANCELED": RunStatus.CANCELLED,
}
"""OSMO's statuses that are not failures; every other begins with ``FAILED``."""

REASONS = {
    "FAILED_SUBMISSION": "OSMO refused the workflow",
    "FAILED_SERVER_ERROR": "OSMO could not create the task; a mounted file may be too large",
    "FAILED_EXEC_TIMEOUT": "it ran longer than --exec-timeout allows",
    "FAILED_QUEUE_TIMEOUT": "it waited longer for a node than --queue-timeout allows",
    "FAILED_BACKEND_ERROR": "the node was lost, or the cluster failed, more often than OSMO starts the task again",
    "FAILED_IMAGE_PULL": "the container image could not be pulled",
    "FAILED_EVICTED": "the task was evicted, more often than OSMO starts it again",
    "FAILED_START_ERROR": "the task could not start",
    "FAILED_START_TIMEOUT": "the task took too long to start",
    "FAILED_PREEMPTED": "a job of higher priority took its place, more often than OSMO starts it again",
    "FAILED_UPSTREAM": "an earlier task failed",
}
"""Meaning of a failure, in a sentence."""

NO_RETRIES = "OSMO starts no task again here: an administrator has to set max_retry_per_task"

SHOWN_LINES = 3
"""Last lines of the log that are shown of a workflow that failed."""

FULL = 0.95
"""Share of a container's memory from which on a task that was taken away is taken to have run out of it."""

CANCEL_LOOKS = 8
"""Looks at a workflow that was asked to stop."""

_EXPERIMENT = re.compile(r"MLflow tracking configured: experiment=(\S+)")
_RUN = re.compile(r"View run.* at: \S*/runs/([0-9a-fA-F-]{32,36})")


def status_of(word: str) -> RunStatus:
    """Return gaitway's word for one of OSMO's."""
    if word in STATUSES:
        return STATUSES[word]
    return RunStatus.FAILED if word.startswith("FAILED") else RunStatus.UNKNOWN


def has_ended(workflow_id: str) -> bool:
    """Return whether a workflow has ended.

    Raises:
        GaitwayError: OSMO does not answer.
    """
    return status_of(query_workflow(workflow_id).word).ended


def report_of(workflow_id: str, workflows: Sequence[str] = ()) -> StatusReport:
    """Ask how a workflow is doing.

    Args:
        workflow_id: The workflow.
        workflows: All that have done parts of its run, itself the last; itself alone when empty.

    Raises:
        Unwell: It has ended and its log cannot be read now: how it ended stays open.
        GaitwayError: OSMO does not answer.
    """
    found = query_workflow(workflow_id)
    word, tasks = found.word, found.tasks
    status = status_of(word)
    if not status.ended:
        return StatusReport(status, word, _waits_for(tasks) if status is RunStatus.QUEUED else "")
    if word == "FAILED_SUBMISSION":
        return StatusReport(status, word, _why(word, tasks, None, []), 1)
    try:
        lines = newest_lines(workflows or (workflow_id,))
    except client.Unwell as error:
        raise client.Unwell(
            f"{workflow_id} has ended ({word}), and its log cannot be read, which holds the result: {error.message}",
            source=error.source,
            hint=error.hint,
        ) from None
    result = workflow_result(lines)
    if result is None:
        result = told_in([line.text for line in lines], status)
    elif word == "COMPLETED" or (word == "FAILED" and result.status != "succeeded"):
        # Any other word says what ended the task, of which its own result knows nothing; nor does that of an
        # earlier stage of what ended a later one.
        status = RunStatus(result.status)
    if status is RunStatus.SUCCEEDED:
        whole = result is not None and bool(result.kind)
        return StatusReport(status, word, "" if whole else "its log holds no result", 0, result)
    return StatusReport(status, word, _why(word, tasks, result, lines), _exit_code(status, result), result)


def newest_lines(workflows: Iterable[str]) -> list[LogLine]:
    """Return the log of a run whose parts several workflows have done: of each task what the last of them says."""
    found: dict[str, list[LogLine]] = {}
    for name in workflows:
        lines = task_lines(name)
        found |= {task: [line for line in lines if line.task == task] for task in _tasks(lines)}
    return sorted((line for lines in found.values() for line in lines), key=lambda line: line.time)


def told_in(lines: Iterable[str], status: RunStatus) -> Result | None:
    """Return the MLflow run that a log without a result names, by the lines that people search for."""
    experiment, run_id = None, None
    for line in lines:
        if match := _EXPERIMENT.search(line):
            experiment = match[1]
        if match := _RUN.search(line):
            run_id = match[1]
    if experiment is None and run_id is None:
        return None
    return Result(kind="", task="", status=status.value, experiment=experiment, mlflow_run_id=run_id)


def workflow_result(lines: Sequence[LogLine]) -> Result | None:
    """Return the result that the tasks of a workflow wrote into its log: of the newest attempt of each.

    The results of a chain's stages come to one.
    """
    found = {task: result for task in _tasks(lines) if (result := result_of_task(lines, task))}
    if len(found) < 2:
        return next(iter(found.values()), None)
    stages = {name: found[task] for name, task in STAGE_TASKS.items() if task in found}
    return combined(stages) if stages else None


def cancel_workflow(
    workflow_id: str, workflows: Sequence[str] = (), pause: Callable[[float], object] = time.sleep
) -> StatusReport:
    """Ask OSMO to cancel a workflow, and look whether it does: the command's exit code says nothing.

    Args:
        workflow_id: The workflow.
        workflows: All that have done parts of its run, as for :func:`report_of`.
        pause: Waits between two looks [s].

    Raises:
        PlatformError: It goes on.
    """
    before = report_of(workflow_id, workflows)
    if before.status.ended:
        return before
    told = client.output_of("workflow", "cancel", workflow_id)
    for attempt in range(CANCEL_LOOKS):
        found = report_of(workflow_id, workflows)
        if found.status.ended:
            return found
        if "cancelation failed" in told:
            raise PlatformError(
                f"OSMO did not cancel {workflow_id}: {client.shorten(told)}",
                hint=f"osmo workflow cancel {workflow_id} --force",
            )
        pause(min(0.2 * 2**attempt, 5.0))
    return replace(found, detail="OSMO was asked to cancel it and has not done so yet")


@dataclass(frozen=True)
class MemoryUse:
    """Memory of a task's container as the job itself saw it last [bytes]."""

    used: int
    limit: int

    @property
    def full(self) -> bool:
        """Whether there was hardly any left."""
        return self.limit > 0 and self.used >= FULL * self.limit


def memory_use(lines: Iterable[LogLine]) -> MemoryUse | None:
    """Return what the newest attempt at a task recorded last of its memory; None where it recorded nothing.

    Args:
        lines: The task's lines.
    """
    found: MemoryUse | None = None
    attempt = -1
    for line in lines:
        if line.attempt > attempt:
            attempt, found = line.attempt, None
        told = told_after(MEMORY_MARK, line.text)
        if line.attempt == attempt and told is not None:
            try:
                document = json.loads(told)
                found = MemoryUse(int(document["used"]), int(document["limit"]))
            except (ValueError, TypeError, KeyError):
                continue
    return found


def _tasks(lines: Sequence[LogLine]) -> list[str]:
    return list(dict.fromkeys(line.task for line in lines))


def result_of_task(lines: Sequence[LogLine], task: str) -> Result | None:
    """Return the result that the newest attempt at a task wrote; OSMO cuts a long line into several."""
    newest = max((line.attempt for line in lines if line.task == task), default=0)
    mine = [line for line in lines if line.task == task and line.attempt == newest and not line.by_osmo]
    start = next((at for at in reversed(range(len(mine))) if RESULT_MARK in mine[at].text), None)
    if start is None:
        return None
    text = told_after(RESULT_MARK, mine[start].text) or ""
    rest = iter(line.text for line in mine[start + 1 :])
    while True:
        with contextlib.suppress(ValueError, RecursionError):
            document = json.loads(text)
            break
        more = next(rest, None)
        if more is None:
            return None
        text += more
    try:
        return results.from_document(document)
    except ValueError:
        return None


def _waits_for(tasks: Sequence[TaskState]) -> str:
    words = sorted({task.status.lower() for task in tasks if task.status})
    return f"task {', '.join(words)}" if words else ""


def _exit_code(status: RunStatus, result: Result | None) -> int:
    if result and result.exit_code:
        return result.exit_code
    return 130 if status is RunStatus.CANCELLED else 1


def _why(word: str, tasks: Sequence[TaskState], result: Result | None, lines: Sequence[LogLine]) -> str:
    """Return why a workflow failed: the runtime's own error, else the failed tasks and their last words."""
    if word == "FAILED_CANCELED":
        return "it was cancelled"
    if result and result.error and word == "FAILED":
        return str(result.error["message"])
    failed = {task.name for task in tasks if task.status in ("FAILED", "FAILED_EVICTED")}
    uses = (memory_use([line for line in lines if line.task == name]) for name in sorted(failed))
    use = next((use for use in uses if use and use.full), None)
    if use and word in ("FAILED", "FAILED_EVICTED"):
        gib = 2**30
        room = f"{use.used / gib:.1f} of {use.limit / gib:.1f} GiB were in use"
        return f"it ran out of memory ({room}): ask for more with --memory, or for fewer environments with --num-envs"
    parts = [REASONS[word]] if word in REASONS else []
    for task in tasks:
        if not task.status.startswith("FAILED") or task.status == "FAILED_UPSTREAM":
            continue
        code = f"exit code {task.exit_code}" if task.exit_code is not None else task.status
        told = f": {client.shorten(task.failure_message)}" if task.failure_message else ""
        parts.append(f"task {task.name}: {code}{told}")
        if "retry limit 0" in told:
            parts.append(NO_RETRIES)
    last = [line.shown for line in lines if line.text == for_people(line.text)][-SHOWN_LINES:]
    if last and word == "FAILED":
        parts.append("last lines: " + " | ".join(client.shorten(line) for line in last))
        parts.append("gaitway logs RUN --error has OSMO's own")
    return "; ".join(parts) or f"OSMO says {word}"
