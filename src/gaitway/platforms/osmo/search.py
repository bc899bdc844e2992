"""Search for workflows that this folder has no record of: by run id, all of them, and adoption of one."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Container, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from gaitway_runtime.spec.job import Job, ShipJob
from gaitway_runtime.spec.job_document import from_document
from gaitway_runtime.spec.run_context import RunContext
from gaitway_runtime.spec.types import JsonObject

from ...errors import PlatformError, UsageError
from ..base import AdoptedRun, RemoteRun, RunRef
from . import client
from .handover import OUTPUTS_NAMED
from .names import MASK, STAGE_TASKS, TASKS
from .query import query_workflow, url_of
from .status import status_of
from .submit_record import FOLDER, RECORD_FILE, read_record, workflows_of
from .workflow import FILES

LOOKED_AT = 20
"""Newest workflows of a name whose spec is looked at for a run id."""

_NUMBER = re.compile(r"-\d+$")
"""End of a workflow's id: the number that OSMO adds to its name."""

PAUSES_S = (0.0, 5.0, 15.0, 30.0)
"""Pauses before each look for a submission that got no answer [s]: OSMO may still be at it."""


def find_run(run_id: str, name: str, pauses: Sequence[float] = (), known: Container[str] = ()) -> RunRef | None:
    """Return the workflow that carries a run's id, or None where OSMO has none.

    Args:
        run_id: The run's id.
        name: Name of the workflow, without OSMO's number.
        pauses: Pauses before each look [s]; one look when empty.
        known: Workflows that are not looked for.

    Raises:
        GaitwayError: OSMO does not answer.
    """
    for pause in pauses or (0.0,):
        time.sleep(pause)
        for row in _rows("--name", name, "--count", str(LOOKED_AT)):
            workflow_id = str(row.get("name", ""))
            if row.get("status") == "FAILED_SUBMISSION" or workflow_id in known or run_id not in _spec(workflow_id):
                continue
            return RunRef("", "osmo", workflow_id, url_of(row))
    return None


def find_restarted(ref: RunRef, run_dir: Path, error: client.NoAnswer) -> RunRef:
    """Return the workflow that a restart without an answer has made all the same.

    Args:
        ref: The run as it was before.
        run_dir: Its folder in the ledger.
        error: What was said in place of an answer.

    Raises:
        NoAnswer: OSMO has none, so far.
    """
    record = read_record(run_dir)
    name = str(record.get("name") or _NUMBER.sub("", ref.id))
    run_id = str(record.get("run_id") or "")
    found = find_run(run_id, name, PAUSES_S, workflows_of(run_dir, ref.id)) if run_id else None
    if found is None:
        raise error
    return RunRef(ref.name, ref.platform, found.id, found.url)


def list_workflows(most: int = 100) -> list[RemoteRun]:
    """Return the newest workflows of all users and pools that OSMO lets the user see, newest last.

    Raises:
        GaitwayError: OSMO does not answer.
    """
    rows = list(_rows("--all-users", "--count", str(most)))
    return [
        RemoteRun(
            id=str(row.get("name", "")),
            status=status_of(str(row.get("status", ""))),
            word=str(row.get("status", "")),
            created=str(row.get("submit_time") or ""),
            user=str(row.get("user") or row.get("submitted_by") or ""),
            url=url_of(row),
        )
        for row in reversed(rows)
    ]


def adopt_workflow(workflow_id: str) -> AdoptedRun:
    """Return what a workflow carries of its run: the job's document, mounted into its first task.

    Raises:
        UsageError: There is no such workflow, or it is not one of gaitway's.
        GaitwayError: OSMO does not answer.
    """
    found = query_workflow(workflow_id)
    tasks = _tasks(workflow_id)
    job, context = _job_of(workflow_id, tasks)
    environment = tasks[0].get("environment") or {}
    image = str(tasks[0].get("image", ""))
    settings: JsonObject = {
        "image": {"value": image, "origin": f"osmo {workflow_id}", "shadowed": []},
        "pool": {"value": found.pool, "origin": f"osmo {workflow_id}", "shadowed": []},
        "task": {"value": job.task, "origin": f"osmo {workflow_id}", "shadowed": []},
    }
    record = {
        "workflow": workflow_id,
        "run_id": context.run_id,
        "kept": environment.get("KEEP_AT", ""),
        OUTPUTS_NAMED: bool(tasks[0].get("outputs")) and job.kind != ShipJob.kind,
    }
    return AdoptedRun(
        ref=RunRef(context.run, "osmo", workflow_id, found.url),
        job=job,
        context=context,
        created=found.created,
        settings=settings,
        files={f"{FOLDER}/{RECORD_FILE}": record},
    )


def _rows(*words: str) -> Iterator[Mapping[str, Any]]:
    """Yield rows of ``osmo workflow list``, newest first."""
    yield from client.json_of("workflow", "list", "--order", "desc", *words).get("workflows", [])


def _spec(workflow_id: str) -> str:
    try:
        return client.output_of("workflow", "spec", workflow_id)
    except PlatformError:
        return ""


def _tasks(workflow_id: str) -> list[Mapping[str, Any]]:
    """Return the tasks in a workflow's spec.

    Raises:
        UsageError: The spec cannot be read.
    """
    import yaml

    from .checks import tasks_of

    try:
        document = yaml.safe_load(client.output_of("workflow", "spec", workflow_id))
        return tasks_of(document["workflow"])
    except (yaml.YAMLError, TypeError, KeyError):
        raise _foreign(workflow_id) from None


def _job_of(workflow_id: str, tasks: Sequence[Mapping[str, object]]) -> tuple[Job, RunContext]:
    """Return the job and the run that a workflow's tasks carry; those of a chain are put together again."""
    documents = {str(task.get("name")): document for task in tasks if (document := _document(task))}
    if not documents:
        raise _foreign(workflow_id)
    first = documents.get(TASKS["train"]) or next(iter(documents.values()))
    if MASK in json.dumps(first):
        raise UsageError(
            f"OSMO has masked what looks secret in workflow {workflow_id}: its job cannot be read whole",
            source=f"osmo workflow spec {workflow_id}",
            hint="adopt it on the machine that submitted it, or submit the job anew",
        )
    try:
        job, context = from_document(first, f"workflow {workflow_id}")
    except UsageError:
        raise _foreign(workflow_id) from None
    if set(STAGE_TASKS.values()) <= {str(task.get("name")) for task in tasks}:
        ship = {**first, "kind": ShipJob.kind, "job": {**first["job"], "skip_register_checkpoint": False}}
        job, context = from_document(ship, f"workflow {workflow_id}")
    return job, context


def _document(task: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the job's document that is mounted into a task, if there is one."""
    for file in task.get("files") or []:
        if file.get("path") == f"{FILES}/job.json":
            try:
                found: dict[str, object] = json.loads(str(file.get("contents", "")))
            except ValueError:
                return None
            return found
    return None


def _foreign(workflow_id: str) -> UsageError:
    return UsageError(
        f"workflow {workflow_id} carries no job of gaitway's",
        source="WORKFLOW_ID",
        allowed="workflows that gaitway has submitted",
        hint="gaitway runs --on osmo --all lists workflows",
    )
