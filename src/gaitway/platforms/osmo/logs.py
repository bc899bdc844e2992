"""Log of a workflow: its lines over broken and silent streams, without gaps or repetitions.

OSMO streams a log while a workflow runs. Such a stream may break, and it may stay open without a word after the
workflow has ended: the service looks for the end once a second, and by then the log has often been moved away. So the
end of a stream says nothing, and its silence is a reason to ask for the workflow's status.
"""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from gaitway_runtime.spec.marks import for_people

from ...errors import PlatformError
from ..base import LogSelection
from . import client
from .names import TASKS
from .query import query_workflow

IDLE_S = 5.0
"""Silence after which a stream is not trusted any more [s]."""

STORED_IDLE_S = 60.0
"""As :data:`IDLE_S`, of a stream that was opened after the workflow had ended, which has an end [s]."""

LIVE_S = 4.0
"""Time after which a stream is compared with the times of its lines: one that goes along with them is live [s]."""

READS = 4
"""Streams in a row that may break, or fall silent, in the log of a workflow that has ended, which has an end."""

GOING_ON = ("PENDING", "RUNNING", "WAITING")
"""OSMO's statuses of a workflow that has not ended."""

PATIENCE = 6
"""Streams in a row that may break without a new line before following ends."""

_LINE = re.compile(r"(\d{4}/\d\d/\d\d \d\d:\d\d:\d\d) \[([^\]]+?)(?: retry-(\d+))?\](\[osmo\])? ?(.*)", re.DOTALL)
_CUT = "Log stream has timed out or failed."


class CutShort(client.Unwell):
    """The log of a workflow that has ended came in part, however often it was asked for."""

    def __init__(self, workflow_id: str, lines: list[str]) -> None:
        super().__init__(f"OSMO sent the log of {workflow_id} in part, {READS} times", hint="try again in a minute")
        self.came = lines
        """Lines of the last part."""


@dataclass(frozen=True)
class LogLine:
    """A line of a workflow's log."""

    time: str
    """To the second, as OSMO writes it."""
    task: str
    attempt: int
    """Which start of the task wrote it, from 0."""
    by_osmo: bool
    """Whether OSMO itself wrote it rather than the task."""
    text: str

    @property
    def shown(self) -> str:
        """The line as a person reads it: the task's name stands only before lines of helping tasks."""
        label = f"[{self.task}] " if self.task not in TASKS.values() else ""
        return f"{label}{'[osmo] ' if self.by_osmo else ''}{self.text}"


def parse_line(line: str) -> LogLine | None:
    """Return a line with its parts; None for what OSMO adds to a log of its own, as a footer."""
    found = _LINE.fullmatch(line)
    if not found:
        return None
    when, task, attempt, source, text = found.groups()
    return LogLine(when, task, int(attempt or 0), bool(source), text)


def read_lines(workflow_id: str, selection: LogSelection | None = None) -> list[str]:
    """Return a log as far as it goes now, as OSMO writes it.

    Raises:
        CutShort: The workflow has ended, and its log comes in part.
        GaitwayError: It cannot be read at all.
    """
    words = _words(selection or LogSelection())
    idle = IDLE_S
    for _ in range(READS):
        lines, whole = _read_once(workflow_id, words, idle)
        if whole or query_workflow(workflow_id).word in GOING_ON:
            return lines
        idle = STORED_IDLE_S
    raise CutShort(workflow_id, lines)


def _read_once(workflow_id: str, words: Sequence[str], idle: float) -> tuple[list[str], bool]:
    """Return the lines of one stream, and whether it was read to its end, or to where a job that goes on is."""
    pace, whole = _Pace(), True

    def goes_on() -> bool:
        nonlocal whole
        whole = False
        return False

    stream = client.log_stream(workflow_id, words, idle=idle, goes_on=goes_on)
    lines: list[str] = []
    for line in stream:
        whole = whole and _CUT not in line
        lines += [] if _is_frame(line) else [line]
        if pace.is_live(line) and query_workflow(workflow_id).word in GOING_ON:
            break
    stream.close()
    return lines, whole


class _Pace:
    """Comparison of a stream with the times of its lines.

    What has been written comes as fast as it can be read; then OSMO sends each line as it is written, and a job
    that writes often enough would never let a reader see a silence.
    """

    def __init__(self) -> None:
        self._mark: tuple[float, datetime] | None = None

    def is_live(self, line: str) -> bool:
        """Return whether the lines come no faster than they are written; call it for each line."""
        found = parse_line(line)
        if found is None:
            return False
        now, written = time.monotonic(), datetime.strptime(found.time, "%Y/%m/%d %H:%M:%S")
        if self._mark is None:
            self._mark = now, written
        read_s, written_s = now - self._mark[0], (written - self._mark[1]).total_seconds()
        if read_s < LIVE_S:
            return False
        self._mark = now, written
        return written_s <= 2 * read_s


def task_lines(workflow_id: str) -> list[LogLine]:
    """Return the lines that tasks have written; none where OSMO has lost the log.

    Raises:
        Unwell: OSMO cannot be asked now, or sends the log in part.
    """
    try:
        lines = read_lines(workflow_id)
    except client.Unwell:
        raise
    except PlatformError:
        return []
    found: list[LogLine] = []
    for text in lines:
        line = parse_line(text)
        if line is None and found and text != for_people(text):
            # Where a progress bar went back to the beginning of its line, the command prints the rest without a label.
            line = replace(found[-1], text=text)
        found += [line] if line else []
    return found


def read_log(workflow_id: str, selection: LogSelection) -> Iterator[str]:
    """Yield a part of the log as far as it goes now, as a person reads it.

    Raises:
        GaitwayError: It cannot be read at all, or comes in part; what came was yielded.
    """
    if selection.error and selection.task is None:
        selection = replace(selection, task=_failed_task(workflow_id))
    lines, problem = _come(workflow_id, selection)
    for line in lines:
        found = parse_line(line)
        of_task = selection.task is None or (found is not None and found.task == selection.task)
        of_attempt = selection.attempt is None or (found is not None and found.attempt == selection.attempt)
        if selection.error or (of_task and of_attempt):
            yield from _shown(line)
    if problem:
        raise problem


def _come(workflow_id: str, selection: LogSelection | None = None) -> tuple[list[str], CutShort | None]:
    """Return what comes of a log, and the error where that is a part of it."""
    try:
        return read_lines(workflow_id, selection), None
    except CutShort as problem:
        return problem.came, problem


def follow_log(
    workflow_id: str, has_ended: Callable[[str], bool], pause: Callable[[float], object] = time.sleep
) -> Iterator[str]:
    """Yield the log until the workflow has ended, over as many streams as it takes.

    Args:
        workflow_id: The workflow.
        has_ended: Asks OSMO whether it has ended.
        pause: Waits between two streams [s].

    Raises:
        GaitwayError: The log stays out of reach.
    """
    seen, failures = SeenLines(), 0
    while True:
        problem: PlatformError | None = None
        whole = True
        seen.restart()
        try:
            for line in client.log_stream(workflow_id, idle=IDLE_S, goes_on=lambda: not has_ended(workflow_id)):
                whole = whole and _CUT not in line
                if not _is_frame(line) and seen.is_new(line):
                    failures = 0
                    yield from _shown(line)
            if has_ended(workflow_id):
                yield from _rest(workflow_id, seen)
                return
        except PlatformError as error:
            problem = error
        failures += 1
        if problem and failures >= PATIENCE:
            raise problem
        pause(min(2.0**failures, 30.0))


def _rest(workflow_id: str, seen: SeenLines) -> Iterator[str]:
    """Yield what the stored log of an ended workflow has beyond the lines that were seen, as far as it comes."""
    seen.restart()
    for line in _come(workflow_id)[0]:
        if seen.is_new(line):
            yield from _shown(line)


@dataclass
class _Place:
    """How far the log of one attempt at one task was read: the last second, and its lines."""

    time: str = ""
    lines: Counter[str] = field(default_factory=Counter)


class SeenLines:
    """Memory of the lines that were shown, over streams that each begin at the start of what OSMO still has.

    Lines of one attempt come in the order of their times, which have a resolution of a second; a clock that is set back
    may break that order. So times count only until a stream has come to its first new line: none repeats a line.
    """

    def __init__(self) -> None:
        self._places: dict[str, _Place] = {}
        self._replay: dict[str, Counter[str]] = {}
        self._last_was_new = True

    def is_new(self, line: str) -> bool:
        """Return whether a line was not there before; call it once for each line of each stream."""
        found = parse_line(line)
        if found:
            self._last_was_new = self._advance(found.time, f"{found.task} {found.attempt} {found.by_osmo}", line)
        return self._last_was_new

    def restart(self) -> None:
        """Say that a new stream begins, which repeats what was seen."""
        self._replay = {task: Counter(place.lines) for task, place in self._places.items()}

    def _advance(self, when: str, task: str, line: str) -> bool:
        place = self._places.setdefault(task, _Place())
        replay = self._replay.get(task)
        if replay is not None:
            if when < place.time:
                return False
            if when == place.time and replay[line] > 0:
                replay[line] -= 1
                return False
            del self._replay[task]
        if when > place.time:
            place.time, place.lines = when, Counter()
        if when == place.time:
            place.lines[line] += 1
        return True


def _failed_task(workflow_id: str) -> str:
    """Return the task of a workflow that failed, else its first: OSMO keeps an error log of each."""
    tasks = query_workflow(workflow_id).tasks
    failed = [task for task in tasks if task.status.startswith("FAILED") and task.status != "FAILED_UPSTREAM"]
    return next((task.name for task in [*failed, *tasks]), "")


def _words(selection: LogSelection) -> Sequence[str]:
    """Return the flags of ``osmo workflow logs`` for a part of a log.

    The attempt is no flag, but of an error log: the command cannot be asked for the first one of several.
    """
    if not selection.error:
        return ["--task", selection.task] if selection.task and selection.attempt is None else []
    words = ["--error", "--task", selection.task or ""]
    return [*words, *(["--retry-id", str(selection.attempt)] if selection.attempt else [])]


def _shown(line: str) -> Iterator[str]:
    """Yield a line as a person reads it; what follows a mark is for programs."""
    found = parse_line(line)
    text = for_people(found.text if found else line)
    if text is not None:
        yield replace(found, text=text).shown if found else text


def _is_frame(line: str) -> bool:
    return bool(client.LOG_HEADER.match(line)) or _CUT in line or not line.strip()
