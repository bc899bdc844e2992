"""Getting a job's files: the artifacts of its run, which hold the outputs of every kind of job."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote

from ...errors import PlatformError, UsageError
from ..base import RunRef
from .following import Job

_NOT_OUTPUTS = ("user_logs/", "system_logs/", "azureml-logs/", "logs/")
"""What Azure ML itself puts beside a run's artifacts."""


def fetch(ref: RunRef, run_dir: Path, pattern: str, into: Path) -> Sequence[Path]:
    """Copy the artifacts whose path matches a pattern and return where they lie now.

    The run's own list is asked, not the storage: a listing of blobs by prefix would mix in those of a run whose name
    begins alike.

    Raises:
        UsageError: The target is not a folder.
        GaitwayError: They cannot be had.
    """
    if into.exists() and not into.is_dir():
        raise UsageError(f"{into} is not a folder")
    job = Job(ref, run_dir)
    base = f"/experiments/{quote(job.experiment, safe='')}/runs/{ref.id}/artifacts"
    fetched = []
    for path in _paths(job, base):
        if fnmatch.fnmatchcase(path, pattern):
            where: Mapping[str, Any] = job.azure.history(f"{base}/contentinfo", {"path": path})
            target = into / path
            job.azure.download(str(where["contentUri"]), target)
            fetched.append(target)
    return fetched


def _paths(job: Job, base: str) -> Iterator[str]:
    """Yield the paths of a run's artifacts.

    Raises:
        PlatformError: The service lists something that would be written elsewhere.
    """
    page = job.azure.history(base)
    while True:
        for item in page.get("value") or []:
            path = str(item["path"])
            if PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts:
                raise PlatformError("Azure ML lists a file outside of the run's folder", source=job.ref.id)
            if not path.startswith(_NOT_OUTPUTS):
                yield path
        if not page.get("nextLink"):
            return
        page = job.azure.more(str(page["nextLink"]))
