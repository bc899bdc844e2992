"""A workflow of the stand-in: its tasks, its log, what the service answers about it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from .pod import Pod

ALIVE = ("PENDING", "RUNNING", "WAITING")
LOG_LINE_LIMIT = 32 * 1024
"""Bytes after which the log path begins a new line."""

MAX_LOG_LINES = 10_000
"""Lines of a workflow that the service keeps."""


@dataclass
class Task:
    spec: Any
    group: str
    status: str = "SUBMITTING"
    retry_id: int = 0
    exit_code: int | None = None
    failure_message: str | None = None
    pod: Pod | None = None
    ended_by_group: str = ""
    """Status that another task of the group has given this one."""
    taken: int | None = None
    """Exit code of the service that took the pod away (eviction, preemption, lost node)."""
    error_lines: list[str] = field(default_factory=list)

    @property
    def label(self) -> str:
        """What stands between brackets in each line of its log."""
        return f"{self.spec.name} retry-{self.retry_id}" if self.retry_id else str(self.spec.name)

    def row(self) -> dict[str, Any]:
        return {
            "name": self.spec.name,
            "retry_id": self.retry_id,
            "status": self.status,
            "exit_code": self.exit_code,
            "failure_message": self.failure_message,
            "lead": self.spec.lead,
            "pod_name": f"pod-{self.spec.name}-{self.retry_id}",
            "node_name": "node-1",
            "start_time": None,
            "end_time": None,
        }


@dataclass
class Workflow:
    """One submitted workflow."""

    id: str
    spec: Any
    text: str
    template: str
    pool: str
    priority: str
    overview: str
    status: str = "PENDING"
    tasks: list[Task] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    changed: threading.Condition = field(default_factory=threading.Condition)
    canceled: bool = False
    submitted: str = "2026-02-03T15:37:23"
    user: str = "tester"
    labels: Mapping[str, str] = field(default_factory=dict)
    parent: str = ""
    rsync: bool = False
    """Whether rsync was switched on when it was submitted."""
    events: list[str] = field(default_factory=list)

    @property
    def alive(self) -> bool:
        return self.status in ALIVE

    @property
    def uuid(self) -> str:
        return f"uuid-{id(self):x}-{self.id}"

    def say(self, task: str, text: str, source: str = "") -> None:
        """Write a log line as the service keeps it."""
        stamp = time.strftime("%Y/%m/%d %H:%M:%S")
        data = text.encode()
        parts = [data[at : at + LOG_LINE_LIMIT] for at in range(0, len(data), LOG_LINE_LIMIT)] or [b""]
        with self.changed:
            self.lines += [f"{stamp} [{task}]{source} {part.decode(errors='replace')}" for part in parts]
            del self.lines[:-MAX_LOG_LINES]
            self.changed.notify_all()

    def happen(self, task: str, reason: str, text: str) -> None:
        """Write an event of a pod as the service keeps it."""
        stamp = time.strftime("%Y/%m/%d %H:%M:%S")
        with self.changed:
            self.events.append(f"{stamp} [{task}] {reason}: {text}")

    def dump(self, text: str) -> None:
        """Write what the service itself adds to a log: lines without time and task."""
        with self.changed:
            self.lines += text.split("\n")
            self.changed.notify_all()

    def follow(self, start: int, missed: Callable[[], object]) -> Iterator[str]:
        """Yield log lines from a number on, as they come.

        A stream that was open when the workflow ended misses its end, as the real one does about every other time:
        the service looks once a second, and by then the log has been moved away. It stays open without a word.

        Args:
            start: Line to begin with.
            missed: Waits until the service is closed.
        """
        live = self.alive
        while True:
            with self.changed:
                self.changed.wait_for(lambda: len(self.lines) > start or not self.alive)  # noqa: B023
                fresh, ended = self.lines[start:], not self.alive
            if ended and live:
                missed()
                return
            yield from fresh
            start += len(fresh)
            if ended and not fresh:
                return

    def become(self, status: str) -> None:
        with self.changed:
            self.status = status
            self.changed.notify_all()

    def row(self) -> dict[str, Any]:
        return {
            "name": self.id,
            "user": self.user,
            "submitted_by": self.user,
            "status": self.status,
            "pool": self.pool,
            "priority": self.priority,
            "submit_time": self.submitted,
            "labels": dict(self.labels),
            "start_time": None,
            "end_time": None,
            "overview": self.overview,
            "workflow_uuid": self.uuid,
        }

    def details(self) -> dict[str, Any]:
        groups: dict[str, list[Task]] = {}
        # The database has no order of groups; their tasks are sorted by name.
        for task in reversed(self.tasks):
            groups.setdefault(task.group, []).append(task)
        groups = {name: sorted(members, key=lambda task: task.spec.name) for name, members in groups.items()}
        return {
            **self.row(),
            "uuid": self.uuid,
            "plugins": {"rsync": self.rsync},
            "parent_name": self.parent or None,
            "groups": [
                {
                    "name": name,
                    "status": _group_status(members),
                    "failure_message": next((task.failure_message for task in members if task.failure_message), None),
                    "tasks": [task.row() for task in members],
                }
                for name, members in groups.items()
            ],
        }


def _group_status(members: list[Task]) -> str:
    lead = next((task for task in members if task.spec.lead), members[0])
    return lead.status
