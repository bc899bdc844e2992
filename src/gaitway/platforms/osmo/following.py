"""A workflow while it runs and after: its status in our words, its log without gaps or repetitions."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from gaitway_runtime.container import RESULT_MARK

from ...errors import PlatformError
from ..base import RunStatus, StatusReport
from ..container_log import result_in
from . import client
from .document import LEAD_TASK

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
    "FAILED_QUEUE_TIMEOUT": "it waited too long for a node",
    "FAILED_BACKEND_ERROR": "the cluster failed",
    "FAILED_IMAGE_PULL": "the container image could not be pulled",
    "FAILED_EVICTED": "the task was evicted (out of memory or disk?), more often than OSMO starts it again",
    "FAILED_START_ERROR": "the task could not start",
    "FAILED_START_TIMEOUT": "the task took too long to start",
    "FAILED_PREEMPTED": "a job of higher priority took its place, more often than OSMO starts it again",
}
"""What a failure means, in a sentence."""

TAIL_LINES = 50
SHOWN_LINES = 3
"""Log lines that are looked at, and shown, when a workflow has failed."""

PATIENCE = 6
"""Streams in a row that may break without a new line before following ends."""

IDLE_S = 2.0
"""Silence after which a log is taken to be read as far as it goes [s]."""

CANCEL_LOOKS = 8
"""Looks at a workflow that was asked to stop: its task may need a minute to save."""

_LINE = re.compile(r"(\d{4}/\d\d/\d\d \d\d:\d\d:\d\d) \[([^\]]+)\](\[osmo\])? ?(.*)")
_EXPERIMENT = re.compile(r"MLflow tracking configured: experiment=(\S+)")
_RUN = re.compile(r"View run.* at: \S*/runs/([0-9a-fA-F-]{32,36})")
_CUT = "Log stream has timed out or failed."


def status_of(word: str) -> RunStatus:
    """Return our word for one of OSMO's."""
    if word in STATUSES:
        return STATUSES[word]
    return RunStatus.FAILED if word.startswith("FAILED") else RunStatus.UNKNOWN


def report(workflow_id: str) -> StatusReport:
    """Ask how a workflow is doing.

    Raises:
        GaitwayError: OSMO does not tell.
    """
    found = client.ask("workflow", "query", workflow_id)
    word = str(found.get("status", ""))
    status = status_of(word)
    tasks = [task for group in found.get("groups") or [] for task in group.get("tasks") or []]
    if not status.ended:
        return StatusReport(status, word, _waits_for(tasks) if status is RunStatus.QUEUED else "")
    if word == "FAILED_SUBMISSION":
        return StatusReport(status, word, _why(word, tasks, None, []), 1)
    lines = _lines(workflow_id, "-n", str(TAIL_LINES))
    result = result_in(lines)
    if result is None:
        result = told_in(_lines(workflow_id), status)
    elif word in ("COMPLETED", "FAILED"):
        # Any other word says what ended the task, of which its own result knows nothing.
        status = RunStatus(result["status"])
    if status is RunStatus.SUCCEEDED:
        whole = result is not None and "kind" in result
        return StatusReport(status, word, "" if whole else "its log holds no result", 0, result)
    return StatusReport(status, word, _why(word, tasks, result, lines), _exit_code(status, result), result)


def told_in(lines: Iterable[str], status: RunStatus) -> Mapping[str, Any] | None:
    """Return what a log without a result tells of its MLflow run, by the lines that people search for."""
    found: dict[str, Any] = {}
    for line in lines:
        if match := _EXPERIMENT.search(line):
            found["experiment"] = match[1]
        if match := _RUN.search(line):
            found["mlflow_run_id"] = match[1]
    return {"status": status.value, **found} if found else None


def log(workflow_id: str) -> Iterator[str]:
    """Yield the log as far as it goes now."""
    for line in client.stream(workflow_id, idle=IDLE_S):
        if not _is_frame(line):
            yield from _shown(line)


def follow(workflow_id: str, pause: Callable[[float], object] = time.sleep) -> Iterator[str]:
    """Yield the log until the workflow has ended, over as many streams as it takes.

    Raises:
        GaitwayError: The log stays out of reach.
    """
    seen, failures = Seen(), 0
    while True:
        whole, problem = True, None
        seen.restart()
        try:
            for line in client.stream(workflow_id):
                whole = whole and _CUT not in line
                if not _is_frame(line) and seen.is_new(line):
                    failures = 0
                    yield from _shown(line)
        except PlatformError as error:
            whole, problem = False, error
        if whole and _has_ended(workflow_id):
            return
        failures += 1
        if problem and failures >= PATIENCE:
            raise problem
        pause(min(2.0**failures, 30.0))


def cancel(workflow_id: str, pause: Callable[[float], object] = time.sleep) -> StatusReport:
    """Ask OSMO to cancel a workflow, and look whether it does: the command's exit code does not tell.

    Raises:
        PlatformError: It goes on.
    """
    before = report(workflow_id)
    if before.status.ended:
        return before
    told = client.run("workflow", "cancel", workflow_id)
    for attempt in range(CANCEL_LOOKS):
        found = report(workflow_id)
        if found.status.ended:
            return found
        if "cancelation failed" in told:
            raise PlatformError(
                f"OSMO did not cancel {workflow_id}: {client.shorten(told)}",
                hint=f"osmo workflow cancel {workflow_id} --force",
            )
        pause(min(0.2 * 2**attempt, 5.0))
    return replace(found, detail="OSMO was asked to cancel it and is still at it")


def plain(line: str) -> str:
    """Return a log line without OSMO's time and, for the leading task, its name."""
    match = _LINE.fullmatch(line)
    if not match:
        return line
    _, task, source, text = match.groups()
    label = f"[{task}] " if task not in LEAD_TASK.values() else ""
    return f"{label}{f'{source} ' if source else ''}{text}"


@dataclass
class _Place:
    """Where the log of one task was read to: the last second, and its lines."""

    time: str = ""
    lines: Counter[str] | None = None


class Seen:
    """Which lines were shown already, over streams that each begin at the start of what OSMO still has.

    Lines of one task come in the order of their times, which have a resolution of a second.
    """

    def __init__(self) -> None:
        self._places: dict[str, _Place] = {}
        self._replay: dict[str, Counter[str]] = {}
        self._last_was_new = True

    def is_new(self, line: str) -> bool:
        """Whether a line was not there before; call it once for each line of each stream."""
        match = _LINE.fullmatch(line)
        if match:
            self._last_was_new = self._advance(match[1], match[2] + (match[3] or ""), line)
        return self._last_was_new

    def restart(self) -> None:
        """Say that a new stream begins, which repeats what was seen."""
        self._replay = {task: Counter(place.lines or ()) for task, place in self._places.items()}

    def _advance(self, when: str, task: str, line: str) -> bool:
        place = self._places.setdefault(task, _Place())
        if when < place.time:
            return False
        if when == place.time and self._replay.get(task, Counter())[line] > 0:
            self._replay[task][line] -= 1
            return False
        if when > place.time:
            place.time, place.lines = when, Counter()
            self._replay.pop(task, None)
        assert place.lines is not None
        place.lines[line] += 1
        return True


def _lines(workflow_id: str, *words: str) -> list[str]:
    """Return what OSMO has of a log, the result among it; nothing where it has lost it."""
    try:
        text = client.run("workflow", "logs", workflow_id, *words)
    except PlatformError:
        return []
    return [plain(line) for line in text.splitlines() if not _is_frame(line)]


def _shown(line: str) -> Iterator[str]:
    """Yield a line as a person reads it; the result is for programs."""
    text = plain(line)
    if not text.startswith(RESULT_MARK):
        yield text


def _is_frame(line: str) -> bool:
    return bool(client.LOG_HEADER.match(line)) or _CUT in line or not line.strip()


def _has_ended(workflow_id: str) -> bool:
    return status_of(str(client.ask("workflow", "query", workflow_id).get("status", ""))).ended


def _waits_for(tasks: list[Mapping[str, Any]]) -> str:
    words = sorted({str(task.get("status", "")).lower() for task in tasks if task.get("status")})
    return f"task {', '.join(words)}" if words else ""


def _exit_code(status: RunStatus, result: Mapping[str, Any] | None) -> int:
    if result and result.get("exit_code"):
        return int(result["exit_code"])
    return 130 if status is RunStatus.CANCELLED else 1


def _why(word: str, tasks: list[Mapping[str, Any]], result: Mapping[str, Any] | None, lines: list[str]) -> str:
    """Return why a workflow failed: the runtime's own error, else the failed tasks and their last words."""
    if word == "FAILED_CANCELED":
        return "it was cancelled"
    if result and result.get("error"):
        return str(result["error"]["message"])
    parts = [REASONS[word]] if word in REASONS else []
    failed = [task for task in tasks if str(task.get("status", "")).startswith("FAILED")]
    for task in failed:
        code = f"exit code {task['exit_code']}" if task.get("exit_code") is not None else str(task.get("status"))
        told = f": {client.shorten(str(task['failure_message']))}" if task.get("failure_message") else ""
        parts.append(f"task {task.get('name')}: {code}{told}")
    last = [line for line in lines if RESULT_MARK not in line][-SHOWN_LINES:]
    if last and word == "FAILED":
        parts.append("last lines: " + " | ".join(client.shorten(line) for line in last))
    return "; ".join(parts) or f"OSMO says {word}"
