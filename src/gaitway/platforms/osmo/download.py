"""Download of a run's output files: from object storage, from MLflow, or out of OSMO's own store."""

from __future__ import annotations

import fnmatch
import logging
import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from gaitway_runtime.spec.files import METRICS_FILE, PROGRESS_FILE
from gaitway_runtime.spec.job_document import load

from ...errors import PlatformError, UsageError
from ...ledger import read_document
from ..base import RunRef
from . import client, handover, relay, status
from .options import OsmoOptions
from .query import query_workflow
from .submit_record import FOLDER, workflows_of

_log = logging.getLogger(__name__)

NOTES = ("origin.json", "memory.json")
"""Files beside checkpoints that a run keeps for its next attempt."""

PROGRESS_FILES = (PROGRESS_FILE, METRICS_FILE)
"""Files that a run keeps beside its checkpoints while it runs, and that belong above them."""


def download_outputs(ref: RunRef, run_dir: Path, pattern: str, into: Path) -> Sequence[Path]:
    """Copy the output files whose path matches a pattern and return where they lie now.

    Raises:
        UsageError: The target is not a folder.
        GaitwayError: They cannot be had.
    """
    if into.exists() and not into.is_dir():
        raise UsageError(f"{into} is not a folder")
    kept = handover.find_place(ref, run_dir)
    if kept:
        return list(_from_storage(kept, pattern, into))
    if handover.is_tracked(run_dir):
        return list(_from_mlflow(ref, run_dir, pattern, into))
    return list(_from_osmo(ref, run_dir, pattern, into))


def _from_storage(uri: str, pattern: str, into: Path) -> Iterator[Path]:
    """Copy what OSMO uploaded at the end, and what the run itself did while it went on."""
    into.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=into, prefix=".fetch-") as place:
        client.output_of("data", "download", uri, place, timeout=client.UPLOAD_TIMEOUT_S)
        taken: set[str] = set()
        for source, name in _output_files(Path(place)):
            if name in taken or not fnmatch.fnmatchcase(name, pattern):
                continue
            taken.add(name)
            target = into / name
            target.parent.mkdir(parents=True, exist_ok=True)
            os.replace(source, target)
            yield target


def _output_files(place: Path) -> Iterator[tuple[Path, str]]:
    """Yield the files of a run's place with their names among its outputs; the final ones first."""
    for folder, prefix in (
        (place / "files" / handover.OUTPUTS, ""),
        (place / handover.CHECKPOINTS, f"{handover.CHECKPOINTS}/"),
        (place, ""),
    ):
        found = folder.rglob("*") if folder != place else folder.glob("*")
        for path in sorted(path for path in found if path.is_file() and not path.is_symlink()):
            if path.name in NOTES:
                continue
            name = path.relative_to(folder).as_posix()
            yield path, name if name in PROGRESS_FILES else prefix + name


def _from_osmo(ref: RunRef, run_dir: Path, pattern: str, into: Path) -> Iterator[Path]:
    """Copy outputs of a run that named no storage: OSMO has kept them where only a task can read them.

    Raises:
        UsageError: The run has not ended: OSMO keeps outputs when a task ends.
        GaitwayError: OSMO refused.
    """
    ended: list[tuple[str, str]] = []
    word = ""
    for workflow_id in workflows_of(run_dir, ref.id):
        found = query_workflow(workflow_id)
        word = found.word
        ended += [(workflow_id, task.name) for task in found.tasks if task.status in handover.KEEPING]
    if not ended:
        raise UsageError(
            f"{ref.name} has kept nothing yet: without --storage-uri OSMO keeps outputs when a task ends by itself",
            source=f"status {word}",
            hint=f"gaitway status {ref.name}",
        )
    settings = read_document(run_dir, "settings.json") or {}
    yield from relay.relay_files(
        ended,
        pattern,
        into,
        image=str((settings.get("image") or {}).get("value") or OsmoOptions.image),
        pool=(settings.get("pool") or {}).get("value"),
        folder=run_dir / FOLDER,
    )


def _mlflow_run(workflows: Sequence[str]) -> str | None:
    """Return MLflow's id of a run as its result, or so far its log, names it.

    Args:
        workflows: Those that have done parts of it, oldest first.

    Raises:
        GaitwayError: OSMO does not answer.
    """
    report = status.report_of(workflows[-1], workflows)
    found = report.result
    if not report.status.ended:
        found = status.told_in((line.text for line in status.newest_lines(workflows)), report.status)
    return found.mlflow_run_id if found else None


def _from_mlflow(ref: RunRef, run_dir: Path, pattern: str, into: Path) -> Iterator[Path]:
    """Copy the artifacts of the MLflow run that the workflow's log reports.

    Raises:
        PlatformError: The log names none.
        GaitwayError: The tracking server cannot be asked, or does not hand them over.
    """
    # MLflow is slow to import, and most fetches need none of it.
    from gaitway_runtime.stores.artifacts import ArtifactFolder
    from gaitway_runtime.stores.streams import MissingFile, StreamLimits, UnreadableFile
    from gaitway_runtime.stores.tracking_server import TrackingServer
    from gaitway_runtime.stores.transfer import transfer

    run_id = _mlflow_run(workflows_of(run_dir, ref.id))
    if not run_id:
        raise PlatformError(
            f"{ref.name} has reported no MLflow run, and kept nothing in object storage",
            hint="--storage-uri at submission keeps every output; gaitway logs tells what happened",
        )
    _, context = load(run_dir / "job.json")
    server, shown = TrackingServer.of(context, StreamLimits()), f"runs:/{run_id}"
    run = server.ask(lambda: server.client.get_run(run_id), shown)
    artifacts = ArtifactFolder(run.info.artifact_uri, "", server, shown)
    folders = [""]
    while folders:
        for entry in artifacts.entries(folders.pop()):
            if entry.is_dir:
                folders.append(entry.path)
            elif fnmatch.fnmatchcase(entry.path, pattern):
                target, address = into / entry.path, f"{shown}/{entry.path}"
                try:
                    transfer(artifacts.source(entry.path), target, server.limits, address)
                except (MissingFile, UnreadableFile) as error:
                    _log.warning("%s is left out: %s", address, error.message)
                else:
                    yield target
