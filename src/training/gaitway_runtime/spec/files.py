"""Files: gaitway's home folder, tracking stores on disk, writes that appear whole, the check of a payload.

Standard library only.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import quote

from .errors import ConfigError, JobFailed
from .secrets import public_form

DATABASE = "mlflow.db"
ARTIFACTS = "artifacts"
RUN_NOTE = "mlflow.json"
"""File in a job's output folder that names its MLflow run: ``run_id``, ``experiment``, ``tracking_uri``.

Where the run's artifacts are a folder of this machine, ``artifacts`` names it.
"""
PROGRESS_FILE = "progress.jsonl"
"""File there of what a job reports while it runs, one JSON object a line."""
METRICS_FILE = "metrics.jsonl"
"""File there with the metrics of a job that no tracking server knows, one step a line."""

HOME = ".gaitway"
ROOT_MARKS = (HOME, ".git", "deploy/001-iac")
"""What lies in a project's root: gaitway's own folder, git's, or the Terraform of this repository."""


def project_root() -> Path:
    """Return the root of the project that the current folder is in, as git finds its own; else the current folder.

    Raises:
        ConfigError: The current folder is gone.
    """
    try:
        here = Path.cwd()
    except FileNotFoundError:
        raise ConfigError("the current folder does not exist any more", hint="cd to a folder that does") from None
    above = (folder for folder in (here, *here.parents) if any((folder / mark).exists() for mark in ROOT_MARKS))
    return next(above, here)


def default_home(environ: Mapping[str, str] = os.environ) -> Path:
    """Return ``$GAITWAY_HOME``, by default ``.gaitway`` in the project's root.

    Raises:
        ConfigError: The current folder is gone.
    """
    named = environ.get("GAITWAY_HOME")
    return Path(named).expanduser().absolute() if named else project_root() / HOME


def store_uri(home: Path) -> str:
    """Return the tracking URI of the store in ``home``, whether it exists or not.

    Raises:
        ConfigError: The folder's name cannot be written in such a URI.
    """
    _check_spelling(home.absolute(), "rename the folder, or set GAITWAY_HOME to another one")
    return f"sqlite:///{home.absolute() / DATABASE}"


_SIGNS_OF_ADDRESSES = re.compile(r"\?|%[0-9a-fA-F]{2}")
"""What SQLAlchemy does not take as it stands in a database's address: from 2.1 on, it reads ``%20`` as a space."""


def _check_spelling(folder: Path, hint: str) -> None:
    """Refuse a folder whose database would be looked for, or made, in another one."""
    found = _SIGNS_OF_ADDRESSES.search(str(folder))
    if found:
        message = f"the folder's name contains '{found[0]}', which means something else in the address of a database"
        raise ConfigError(message, source=str(folder), hint=hint)


def artifact_location(home: Path, experiment: str) -> str:
    """Return the artifact folder of an experiment as a ``file:`` URI."""
    return f"{(home.absolute() / ARTIFACTS).as_uri()}/{quote(experiment, safe='')}"


def database_path(tracking_uri: str) -> Path | None:
    """Return the file behind a ``sqlite:`` tracking URI, or None for any other store."""
    found = re.match(r"sqlite(?:\+\w+)?:///([^?]+)", tracking_uri)
    return Path(found[1]) if found else None


def absolute_store(tracking_uri: str) -> str:
    """Return a tracking URI whose database, if it is one, is named from the root: as seen from the current folder.

    A job runs in a folder of its own, where the same relative path is another file.

    Raises:
        ConfigError: The current folder's name cannot be written in such a URI.
    """
    database = database_path(tracking_uri)
    if database is None or database.is_absolute():
        return tracking_uri
    _check_spelling(Path.cwd(), "rename the folder, or name the database of MLFLOW_TRACKING_URI from the root")
    start = tracking_uri.index(":///") + len(":///")
    return f"{tracking_uri[:start]}{Path.cwd() / database}{tracking_uri[start + len(str(database)) :]}"


def check_store(tracking_uri: str, environ: Mapping[str, str] = os.environ) -> None:
    """Refuse the classic file store, which MLflow 3 does not open, and addresses that no store of their kind has.

    Raises:
        ConfigError: It is one.
    """
    cut = re.match(r"(sqlite)(?:\+\w+)?:(?!///.)|azureml:(?!//.)", tracking_uri, re.IGNORECASE)
    if cut:
        path = "three slashes before a path from this folder, four before one from the root: sqlite:///mlflow.db"
        raise ConfigError(
            "the address of the MLflow store is not complete",
            source=f"MLFLOW_TRACKING_URI = {public_form(tracking_uri)}",
            allowed=_STORES,
            hint=path if cut[1] else "unset it, and name the workspace with --azure-workspace-name and its fellows",
        )
    folder = re.match(r"(?:file:(?://)?)?(?![a-z][a-z0-9+]*:|databricks$)(.+)", tracking_uri, re.IGNORECASE)
    if folder and environ.get("MLFLOW_ALLOW_FILE_STORE", "").lower() not in ("true", "1"):
        raise ConfigError(
            "MLflow 3 does not open the classic file store",
            source=f"MLFLOW_TRACKING_URI = {tracking_uri}",
            allowed=_STORES,
            hint="unset MLFLOW_TRACKING_URI to use the local store, or name a database: sqlite:///mlflow.db",
        )


_STORES = "sqlite:///PATH, http(s)://, azureml://"


def is_remote(tracking_uri: str | None) -> bool:
    """Whether a tracking URI means the same on another machine: a server, not a file or database of this one."""
    return bool(tracking_uri and re.match(r"(https?|azureml|databricks)\b", tracking_uri))


LOCK_FILE = "lock"
"""File of a run's folder that every process of the run keeps open, and locked."""

LOCKS_VARIABLE = "GAITWAY_LOCKS"
"""Environment variable with the descriptors of the locks that a job's processes inherit, separated by commas."""


def boot_id() -> str:
    """Return what tells this boot of the machine from any other, for files that name processes; empty if unknown."""
    with suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    with suppress(ImportError):
        import psutil

        return str(int(psutil.boot_time()))
    return ""


def inherited_locks(environ: Mapping[str, str] = os.environ) -> tuple[int, ...]:
    """Return the descriptors of the locks that this process has inherited, for its children to inherit as well."""
    found = []
    for word in environ.get(LOCKS_VARIABLE, "").split(","):
        if word.isdecimal():
            try:
                os.fstat(int(word))
            except (OSError, OverflowError):
                continue
            found.append(int(word))
    return tuple(found)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a path to write to, and put that file in place of ``path`` at the end of the block; on an error, nothing.

    A reader sees the old file or the new one, never half of one, even if the machine goes down.
    """
    with beside(path) as partial:
        yield partial
        with partial.open("rb") as file:
            os.fsync(file.fileno())
        partial.chmod(0o644)
        partial.replace(path)
        sync_folder(path.parent)


@contextmanager
def beside(path: Path) -> Iterator[Path]:
    """Yield the path of an empty file in the same folder, with the same suffix; removed afterwards if still there."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem[:100]}.", suffix=path.suffix)
    os.close(handle)
    partial = Path(name)
    try:
        yield partial
    finally:
        partial.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Write a folder's entries through to the disk, where its file system can: names of new files are there too."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def payload_hash(files: Iterable[tuple[str, str]]) -> str:
    """Return the digest of a payload: over the path of each file and the digest of its content, sorted by path."""
    digest = hashlib.sha256()
    for path, sha256 in files:
        digest.update(f"{path}\0{sha256}\n".encode())
    return digest.hexdigest()


PAYLOAD_LIST = ".gaitway-payload.json"
"""File that travels with a payload to a platform: the path and digest of each of its files, and the payload's hash."""


def check_payload(folder: Path, manifest: Path, submitted: str | None = None) -> None:
    """Compute the hash of a payload again, from the files as they lie beside the job.

    Args:
        folder: Folder that the payload was unpacked to.
        manifest: ``payload.json``, or the list that travelled; nothing is checked where it cannot be read.
        submitted: Hash of the payload that was submitted; the manifest's own when omitted.

    Raises:
        JobFailed: A file is missing or differs from what was submitted.
    """
    try:
        document = json.loads(manifest.read_text(encoding="utf-8"))
        listed = {str(file["path"]): str(file["sha256"]) for file in document["files"]}
        wanted = submitted or str(document["sha256"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return
    found = {path: _digest(folder / path) for path in sorted(listed)}
    if payload_hash(found.items()) != wanted:
        differing = next((path for path in found if found[path] != listed[path]), "its list of files")
        raise JobFailed(
            f"the payload is not what was submitted: {differing} differs",
            source=str(folder),
            hint="submit the job again; a run's payload is not edited in place",
        )


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    try:
        with path.open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    except OSError:
        return ""
    return digest.hexdigest()
