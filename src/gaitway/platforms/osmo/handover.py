"""Hand-over of a run's checkpoints to later jobs on OSMO, without a tracking server in between.

A run's outputs lie in the object storage that it was given, else in OSMO's own, which only a task can read
(``inputs: - task: WORKFLOW:TASK``). An address of the latter is ``osmo:WORKFLOW/TASK/PATH``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from gaitway_runtime.spec.job_document import load
from gaitway_runtime.spec.marks import CHECKPOINT_MARK, told_after

from ...checkpoints.kept import KeptCheckpoint
from ...errors import PlatformError, UsageError
from ...ledger import ENDED_FILE, read_document
from ..base import RunRef
from . import client
from .logs import LogLine, task_lines
from .names import TASKS
from .query import query_workflow
from .submit_record import read_record, workflows_of

INPUTS = "/osmo/data/input"
"""Folder in a task with a folder for each of its inputs, by number."""

OUTPUTS = "outputs"
"""Folder of the job's outputs below a task's output folder."""

OUTPUTS_NAMED = "outputs_named"
"""Key of a submission's record: whether its task names places for outputs, so that OSMO's own store gets none."""

CHECKPOINTS = "checkpoints"
OWN_SCHEME = "osmo:"

KEEPING = ("COMPLETED", "FAILED")
"""OSMO's statuses of a task that has ended by itself, whose outputs it uploads; a pod that is killed uploads none."""

_OWN = re.compile(r"osmo:([^/]+)/([^/]+)/(.+)")
_STORED = re.compile(r"((?:s3|gs|azure|swift|tos)://.+)/(checkpoints(?:/.*)?)")
_FILE = re.compile(r"model_(\d+)\.pt")


@dataclass(frozen=True)
class CheckpointInput:
    """A checkpoint as an input of a task."""

    entry: Mapping[str, str]
    """Item of the task's ``inputs``."""
    path: str
    """The checkpoint, or the folder with the newest, below the input's folder."""


def is_handed_over(address: str | None) -> bool:
    """Return whether a checkpoint address is read by OSMO for the task rather than by the job."""
    return bool(address and (_OWN.fullmatch(address) or _STORED.fullmatch(address)))


def check_handed_over(address: str | None) -> None:
    """Refuse a checkpoint in OSMO's own store that is not there yet.

    Raises:
        UsageError: The task that makes it has not ended by itself: OSMO keeps outputs, and hands them on, when it has.
        GaitwayError: OSMO does not answer.
    """
    found = _OWN.fullmatch(address or "")
    if not found:
        return
    workflow, name, _ = found.groups()
    status = next((task.status for task in query_workflow(workflow).tasks if task.name == name), "")
    if status.startswith("FAILED") and status not in KEEPING:
        raise UsageError(
            f"task {name} of {workflow} was ended from outside ({status.lower()}): OSMO has kept no outputs of it",
            source="--checkpoint-uri",
            hint="--storage-uri at submission, or a data credential, keeps each checkpoint as it is made",
        )
    if status not in KEEPING:
        raise UsageError(
            f"workflow {workflow} has not ended ({status.lower() or 'unknown'}): OSMO hands its outputs on when it has",
            source="--checkpoint-uri",
            hint="--storage-uri at submission keeps each checkpoint where others can read it at once",
        )


def checkpoint_input(address: str) -> CheckpointInput:
    """Return how a task gets a checkpoint.

    Args:
        address: An address for which :func:`is_handed_over` holds.
    """
    if found := _OWN.fullmatch(address):
        workflow, task, path = found.groups()
        wanted = _wanted(path.rpartition("/")[2])
        regex = rf"{OUTPUTS}/({CHECKPOINTS}/{wanted}|params/.*)$"
        return CheckpointInput({"task": f"{workflow}:{task}", "regex": regex}, path)
    found = _STORED.fullmatch(address)
    if not found:
        raise ValueError(f"no address of OSMO's: {address}")
    base, path = found.groups()
    name = path.partition("/")[2]
    return CheckpointInput({"url": f"{base}/{CHECKPOINTS}", "regex": rf"{_wanted(name)}$"}, name)


def checkpoint_address(ref: RunRef, run_dir: Path, which: str) -> str | None:
    """Return the address by which a later job on OSMO gets a checkpoint of a run; None where that is not known.

    Args:
        ref: The run.
        run_dir: Its folder in the ledger.
        which: ``latest`` or an iteration.
    """
    if not (which == "latest" or which.isdecimal()) or not ref.id:
        return None
    file = "" if which == "latest" else f"/model_{which}.pt"
    record = read_record(run_dir)
    kept = kept_at(run_dir)
    if not kept and (record.get(OUTPUTS_NAMED) or _was_taken_away(run_dir)):
        kept = find_place(ref, run_dir)
        if not kept and record.get(OUTPUTS_NAMED):
            return None
    if kept:
        return f"{kept}/{CHECKPOINTS}{file}"
    # A restart is a workflow of its own; the training's outputs stay with the first.
    workflow_id = record.get("workflow") or ref.id
    return f"{OWN_SCHEME}{workflow_id}/{TASKS['train']}/{OUTPUTS}/{CHECKPOINTS}{file}"


def _was_taken_away(run_dir: Path) -> bool:
    """Whether a run is known to have been ended from outside, so that OSMO itself may have kept nothing of it."""
    word = (read_document(run_dir, ENDED_FILE) or {}).get("word")
    return bool(word) and word not in KEEPING


def kept_at(run_dir: Path) -> str:
    """Return the place in object storage that a run was given; empty where there is none."""
    return str(read_record(run_dir).get("kept") or "")


def find_place(ref: RunRef, run_dir: Path) -> str:
    """Return the place in object storage that a run was given, or has found and reported; empty where there is none."""
    kept = kept_at(run_dir)
    if kept:
        return kept
    lines = (line for name in workflows_of(run_dir, ref.id) for line in task_lines(name))
    told = reported_checkpoints(lines)
    return next((checkpoint.kept_at for checkpoint in reversed(told) if checkpoint.kept_at), "")


def list_checkpoints(ref: RunRef, run_dir: Path) -> Sequence[KeptCheckpoint]:
    """Return the whole checkpoints that a run has reported or has in its storage, also while it runs; oldest first.

    Raises:
        PlatformError: OSMO has no such run.
    """
    if not ref.id:
        raise PlatformError(f"{ref.name} has no workflow yet", hint=f"gaitway status {ref.name}")
    lines = [line for name in workflows_of(run_dir, ref.id) for line in task_lines(name)]
    told = {found.iteration: found for found in reported_checkpoints(lines)}
    kept = kept_at(run_dir)
    # OSMO keeps the end of a long log; the storage has them all.
    stored = {found.iteration: found for found in _stored_checkpoints(kept)} if kept else {}
    return [{**stored, **told}[iteration] for iteration in sorted({*stored, *told})]


def _stored_checkpoints(kept: str) -> Iterator[KeptCheckpoint]:
    """Yield the checkpoints that lie in a run's place in object storage; none where it cannot be listed."""
    done = client.execute("data", "list", f"{kept}/{CHECKPOINTS}", "--no-pager")
    for line in done.stdout.splitlines() if done.code == 0 else ():
        name = line.strip().rpartition("/")[2]
        if found := _FILE.fullmatch(name):
            yield KeptCheckpoint(iteration=int(found[1]), path=f"{CHECKPOINTS}/{name}", sha256="", kept_at=kept)


def reported_checkpoints(lines: Iterable[LogLine]) -> Sequence[KeptCheckpoint]:
    """Return the checkpoints that log lines report, by iteration."""
    found: dict[int, KeptCheckpoint] = {}
    for line in lines:
        told = told_after(CHECKPOINT_MARK, line.text)
        if told is None:
            continue
        try:
            document = json.loads(told)
            iteration = int(document["iteration"])
            found[iteration] = KeptCheckpoint(
                iteration=iteration,
                path=str(document["path"]),
                sha256=str(document["sha256"]),
                kept_at=document.get("kept_at"),
                reward=_number(document.get("reward")),
            )
        except (ValueError, TypeError, KeyError):
            continue
    return [found[iteration] for iteration in sorted(found)]


def is_tracked(run_dir: Path) -> bool:
    """Return whether a run reports to a tracking server that others can ask."""
    _, context = load(run_dir / "job.json")
    return bool(context.tracking_uri or (context.azure.subscription_id and context.azure.resource_group))


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _wanted(name: str) -> str:
    """Return the pattern of the files that belong to a checkpoint; of all where none is named."""
    found = _FILE.fullmatch(name)
    return rf"(model_{found[1]}\.pt|state_{found[1]}\..*)" if found else ".*"
