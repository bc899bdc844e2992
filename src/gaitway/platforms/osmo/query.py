"""State of a workflow and its tasks, as ``osmo workflow query`` reports it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from . import client
from .names import TASKS


@dataclass(frozen=True)
class TaskState:
    """A task of a workflow."""

    name: str
    status: str
    """OSMO's own word."""
    lead: bool
    exit_code: int | None
    failure_message: str


@dataclass(frozen=True)
class WorkflowState:
    """A workflow."""

    word: str
    """OSMO's own word for its status."""
    tasks: tuple[TaskState, ...]
    """In the order in which they do a job, the lead of a group first: OSMO lists groups as its database finds them."""
    pool: str | None
    url: str | None
    created: str
    rsync: bool | None = None
    """Whether files can be carried to and from its tasks; None where this release does not tell."""


def query_workflow(workflow_id: str) -> WorkflowState:
    """Ask OSMO for the state of a workflow.

    Raises:
        GaitwayError: There is no such workflow, or OSMO does not answer.
    """
    found = client.json_of("workflow", "query", workflow_id)
    rows = [task for group in found.get("groups") or [] for task in group.get("tasks") or []]
    return WorkflowState(
        word=str(found.get("status", "")),
        tasks=tuple(sorted(map(_task, rows), key=_place)),
        pool=str(found["pool"]) if found.get("pool") else None,
        url=url_of(found),
        created=str(found.get("submit_time") or ""),
        rsync=(found.get("plugins") or {}).get("rsync"),
    )


def url_of(row: Any) -> str | None:
    """Return the address of a workflow's page."""
    url = row.get("dashboard_url") or row.get("overview")
    return str(url) if url else None


def _place(task: TaskState) -> tuple[int, bool]:
    known = list(TASKS.values())
    return known.index(task.name) if task.name in known else len(known), not task.lead


def _task(row: Any) -> TaskState:
    code = row.get("exit_code")
    return TaskState(
        name=str(row.get("name", "")),
        status=str(row.get("status") or ""),
        lead=bool(row.get("lead")),
        exit_code=code if isinstance(code, int) else None,
        failure_message=str(row.get("failure_message") or ""),
    )
