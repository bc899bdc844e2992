"""Getting a run's output files: from object storage where it has some, else from its MLflow artifacts."""

from __future__ import annotations

import fnmatch
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from ...errors import ConfigError, PlatformError, UsageError
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
    return list(_from_storage(uri, pattern, into) if uri else _from_mlflow(ref, pattern, into))


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


def _from_mlflow(ref: RunRef, pattern: str, into: Path) -> Iterator[Path]:
    """Copy the artifacts of the MLflow run that the workflow's result names.

    Raises:
        ConfigError: MLflow is not installed, or its server is not named.
        PlatformError: There is no such run yet.
    """
    result = following.report(ref.id).result or {}
    run_id = result.get("mlflow_run_id")
    if not run_id:
        raise PlatformError(
            f"{ref.name} has told of no MLflow run, and kept nothing in object storage",
            hint="--storage-uri at submission keeps every output; gaitway logs tells what happened",
        )
    try:
        from mlflow.artifacts import download_artifacts, list_artifacts
    except ImportError:
        raise ConfigError(
            "its files are MLflow artifacts, and mlflow is not installed", hint="pip install mlflow"
        ) from None
    folders = [""]
    while folders:
        for artifact in list_artifacts(run_id=run_id, artifact_path=folders.pop() or None):
            if artifact.is_dir:
                folders.append(artifact.path)
            elif fnmatch.fnmatchcase(artifact.path, pattern):
                into.mkdir(parents=True, exist_ok=True)
                copied = Path(download_artifacts(run_id=run_id, artifact_path=artifact.path, dst_path=str(into)))
                target = into / artifact.path
                if copied.resolve() != target.resolve():
                    target.parent.mkdir(parents=True, exist_ok=True)
                    shutil.move(copied, target)
                yield target
