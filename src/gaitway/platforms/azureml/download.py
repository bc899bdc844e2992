"""Download of a job's files: the artifacts of its run."""

from __future__ import annotations

import fnmatch
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from urllib.parse import quote

from gaitway_runtime.spec.types import objects_at
from gaitway_runtime.stores.http_source import HttpSource
from gaitway_runtime.stores.streams import MissingFile, StreamLimits
from gaitway_runtime.stores.transfer import transfer

from ...errors import PlatformError, UsageError
from ..base import RunRef
from .status import AzuremlJob

_log = logging.getLogger(__name__)

_LIMITS = StreamLimits()

_NOT_OUTPUTS = ("user_logs/", "system_logs/", "azureml-logs/", "logs/")
"""Folders of a run's artifacts that Azure ML itself writes."""


def download(ref: RunRef, run_dir: Path, pattern: str, into: Path) -> Sequence[Path]:
    """Copy the artifacts whose path matches a pattern, those of a pipeline's stages too, and return the files.

    The run's own list is used and not a listing of blobs by prefix, which would include a run whose name begins with
    this one's.

    Raises:
        UsageError: The target is not a folder.
        GaitwayError: The artifacts cannot be read.
    """
    if into.exists() and not into.is_dir():
        raise UsageError(f"{into} is not a folder")
    job = AzuremlJob(ref, run_dir)
    files: dict[Path, None] = {}
    for source in (job, *job.steps().values()):
        for path in artifact_paths(source):
            if fnmatch.fnmatchcase(path, pattern) and _copy(source, path, into / path):
                files[into / path] = None
    return list(files)


def _copy(job: AzuremlJob, path: str, target: Path) -> bool:
    """Copy an artifact, and return whether it has any content: its record is made before that is written.

    Raises:
        GaitwayError: It cannot be read.
    """
    where = job.azure.history(f"{_base(job)}/contentinfo", {"path": path})
    source = HttpSource(str(where["contentUri"]), _LIMITS)
    try:
        transfer(source, target, _LIMITS, f"{path} of job {job.ref.id}")
    except MissingFile:
        _log.warning("%s was not written whole, as when a node is taken away meanwhile: it is left out", path)
        return False
    return True


def _base(job: AzuremlJob) -> str:
    return f"/experiments/{quote(job.experiment, safe='')}/runs/{job.ref.id}/artifacts"


def artifact_paths(job: AzuremlJob) -> Iterator[str]:
    """Yield the paths of a job's artifacts, without those that Azure ML itself writes.

    Raises:
        PlatformError: The service lists a path that leads out of the folder.
    """
    page = job.azure.history(_base(job))
    while True:
        for item in objects_at(page, "value"):
            path = str(item["path"])
            if PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts:
                raise PlatformError("Azure ML lists a file outside of the run's folder", source=job.ref.id)
            if not path.startswith(_NOT_OUTPUTS):
                yield path
        if not page.get("nextLink"):
            return
        page = job.azure.more(str(page["nextLink"]))
