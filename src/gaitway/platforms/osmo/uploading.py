"""Bringing a payload to where a task will find it, each content only once."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ...errors import ConfigError, GaitwayError, PlatformError
from ...payload.manifest import Payload
from ...payload.pack import pack
from . import client
from .delivery import LOCAL_FILE, Route
from .document import encoded

KEPT_ARCHIVE = "osmo-training.zip"
KEPT_ENCODED = "osmo-training.b64"
"""Names of the copies that instructions tell people to look at."""


@dataclass(frozen=True)
class Delivered:
    """Where a payload lies for the task."""

    kind: str
    reused: bool = False
    dataset: str = ""
    version: str = ""
    uri: str = ""


class NoDatasets(Exception):
    """This OSMO has no datasets (any more)."""


def lay_out(payload: Payload, folder: Path, tmp_dir: Path, *, inline: bool) -> Path:
    """Write the archive into a folder, encoded as well if it is to travel inline; keep copies for people.

    Returns:
        The archive, named after its content.
    """
    folder.mkdir(parents=True, exist_ok=True)
    archive = folder / f"{payload.sha256}.zip"
    with archive.open("w+b") as stream:
        pack(payload, stream)
    made = {KEPT_ARCHIVE: archive}
    if inline:
        made[KEPT_ENCODED] = folder / LOCAL_FILE
        made[KEPT_ENCODED].write_text(encoded(archive.read_bytes()), encoding="ascii")
    # The copies are a convenience: a folder that cannot be written must not stop a submission.
    with contextlib.suppress(OSError):
        tmp_dir.mkdir(parents=True, exist_ok=True)
        for name, source in made.items():
            partial = tmp_dir / f".{name}.{os.getpid()}"
            shutil.copyfile(source, partial)
            partial.replace(tmp_dir / name)
    return archive


@contextlib.contextmanager
def staged(payload: Payload, folder: Path) -> Iterator[Path]:
    """Lay a payload's files out as a folder called ``training``: OSMO uploads folders without ignore rules."""
    target = folder / "stage" / "training"
    for file in payload.files:
        path = target / file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file.source, path)
    try:
        yield target
    finally:
        shutil.rmtree(folder / "stage", ignore_errors=True)


def deliver(route: Route, payload: Payload, folder: Path, archive: Path) -> Delivered:
    """Bring a payload to where its route says, unless the same content is there already.

    Raises:
        NoDatasets: The route is a dataset's, and this OSMO has none.
        GaitwayError: OSMO or the storage refused.
    """
    if route.kind == "dataset":
        version, reused = _dataset(route, payload, folder)
        return Delivered("dataset", reused, dataset=route.remote, version=version)
    if route.kind == "upload":
        return Delivered("upload", _upload(route.remote, archive), uri=route.remote)
    return Delivered("inline")


def check_datasets(name: str) -> None:
    """Ask whether this OSMO has datasets.

    Raises:
        NoDatasets: It has none.
        GaitwayError: There is no login, or OSMO does not answer.
    """
    _dataset_versions(name)


def _dataset(route: Route, payload: Payload, folder: Path) -> tuple[str, bool]:
    known = _dataset_versions(f"{route.remote}:{route.tag}")
    if known:
        return known[-1], True
    before = set(_dataset_versions(route.remote))
    with staged(payload, folder) as source:
        client.run("dataset", "upload", route.remote, str(source), timeout=client.UPLOAD_TIMEOUT_S)
    fresh = [version for version in _dataset_versions(route.remote) if version not in before]
    if len(fresh) != 1:
        raise PlatformError(
            f"dataset {route.remote} got {len(fresh)} new versions while one was uploaded",
            source="osmo dataset info",
            hint="someone else uploaded at the same moment: run the command again",
        )
    client.run("dataset", "tag", f"{route.remote}:{fresh[0]}", "--set", route.tag)
    return fresh[0], False


def _dataset_versions(name: str) -> list[str]:
    """Return the versions of a dataset or of one of its tags; none where there is no such dataset.

    Raises:
        NoDatasets: The command or the service knows no datasets.
        GaitwayError: There is no login, or OSMO does not answer.
    """
    done = client.attempt("dataset", "info", name, "--format-type", "json")
    if done.code == 0:
        return [str(version["version"]) for version in json.loads(done.stdout)["versions"]]
    if "invalid choice" in done.stderr or "Not Found" in done.stdout:
        raise NoDatasets
    error = client.failure(done.code, done.stdout, done.stderr, ("dataset", "info"))
    if isinstance(error, ConfigError) or done.code in client.UNWELL:
        raise error
    return []


def _upload(uri: str, archive: Path) -> bool:
    """Upload an archive, which bears its address's last part as a name, unless it is there; return whether it was."""
    parent, _, name = uri.rpartition("/")
    done = client.attempt("data", "list", uri, "--no-pager")
    if done.code == 0 and any(line.endswith(name) for line in done.stdout.splitlines()):
        return True
    try:
        client.run("data", "upload", parent, str(archive), timeout=client.UPLOAD_TIMEOUT_S)
    except GaitwayError as error:
        raise PlatformError(
            f"the payload could not be uploaded: {error.message}", source=uri, hint=f"osmo data check {parent}"
        ) from None
    return False
