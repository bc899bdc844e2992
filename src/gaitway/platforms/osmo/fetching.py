"""Getting a run's output files: from object storage where it has some, else from its MLflow artifacts."""

from __future__ import annotations

import fnmatch
import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from gaitway_runtime.job import load

from ...errors import PlatformError, UsageError
from ..base import RunRef
from . import client, following, sending

OUTPUTS = "outputs/"
"""Folder of the outputs below what a task leaves in its output folder."""


def fetch(ref: RunRef, run_dir: Path, pattern: str, into: Path) -> Sequence[Path]:
    """Copy the output files whose path matches a pattern and return where they lie now.

    Raises:
        UsageError: The target is not a folder.
        GaitwayError: They cannot be had.
    """
    if into.exists() and not into.is_dir():
        raise UsageError(f"{into} is not a folder")
    uri = sending.read_record(run_dir).get("files") or ""
    return list(_from_storage(uri, pattern, into) if uri else _from_mlflow(ref, run_dir, pattern, into))


def _from_storage(uri: str, pattern: str, into: Path) -> Iterator[Path]:
    into.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=into, prefix=".fetch-") as place:
        client.run("data", "download", uri, place, timeout=client.UPLOAD_TIMEOUT_S)
        outputs = Path(place) / OUTPUTS
        for source in sorted(path for path in outputs.rglob("*") if path.is_file() and not path.is_symlink()):
            name = source.relative_to(outputs).as_posix()
            if fnmatch.fnmatchcase(name, pattern):
                target = into / name
                target.parent.mkdir(parents=True, exist_ok=True)
                os.replace(source, target)
                yield target


def _from_mlflow(ref: RunRef, run_dir: Path, pattern: str, into: Path) -> Iterator[Path]:
    """Copy the artifacts of the MLflow run that the workflow's log tells of.

    Raises:
        PlatformError: It tells of none.
        GaitwayError: The tracking server cannot be asked, or does not hand them over.
    """
    # MLflow is slow to import, and most fetches need none of it.
    from gaitway_runtime.tracking.fetch.artifacts import ArtifactFolder
    from gaitway_runtime.tracking.fetch.asking import TrackingServer
    from gaitway_runtime.tracking.fetch.base import Limits
    from gaitway_runtime.tracking.fetch.transfer import transfer

    run_id = (following.report(ref.id).result or {}).get("mlflow_run_id")
    if not run_id:
        raise PlatformError(
            f"{ref.name} has told of no MLflow run, and kept nothing in object storage",
            hint="--storage-uri at submission keeps every output; gaitway logs tells what happened",
        )
    _, context = load(run_dir / "job.json")
    server, shown = TrackingServer.of(context, Limits()), f"runs:/{run_id}"
    run = server.ask(lambda: server.client.get_run(run_id), shown)
    artifacts = ArtifactFolder(run.info.artifact_uri, "", server, shown)
    folders = [""]
    while folders:
        for entry in artifacts.entries(folders.pop()):
            if entry.is_dir:
                folders.append(entry.path)
            elif fnmatch.fnmatchcase(entry.path, pattern):
                target = into / entry.path
                target.parent.mkdir(parents=True, exist_ok=True)
                transfer(artifacts.source(entry.path), target, server.limits, f"{shown}/{entry.path}")
                yield target
