"""Delivery of a payload to a task: inside the request, as a dataset, or as an upload to object storage."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gaitway_runtime.spec.files import PAYLOAD_LIST

from ...errors import ConfigError, GaitwayError, PlatformError, UsageError
from ...payload.archive import Payload, pack, payload_list
from . import client
from .options import OsmoOptions

INLINE_LIMIT = 1_048_576
"""Bytes of one mounted file: OSMO makes a Kubernetes Secret of each, and the API server takes no larger one.

OSMO accepts more at submission; the workflow then becomes FAILED_SERVER_ERROR.
"""

MOUNTED = "/tmp/gaitway/payload.zip"
LOCAL_FILE = "payload.zip.b64"
"""Name of the encoded archive beside the workflow file."""


@dataclass(frozen=True)
class Route:
    """A decided way for the payload."""

    kind: str
    """``inline``, ``dataset`` or ``upload``."""
    source: str
    """Path of the archive or folder in the container."""
    verdict: str
    """What was decided and why, in a sentence."""
    file: str = ""
    """Name of the encoded archive beside the workflow file, where it travels in the request."""
    inputs: tuple[Mapping[str, Any], ...] = ()
    link: str = ""
    """Path under which the files appear in the container as well."""
    remote: str = ""
    """The dataset (``bucket/name``) or the object's URI."""
    tag: str = ""
    """Dataset tag that marks this content."""


def encoded(content: bytes) -> str:
    """Return bytes as the ``contents`` of a ``base64: true`` file."""
    return base64.b64encode(content).decode("ascii")


def choose_route(payload: Payload, archive_size: int, options: OsmoOptions) -> Route:
    """Decide how a payload travels.

    Args:
        payload: The files.
        archive_size: Size of their archive [bytes].
        options: What was asked for.

    Raises:
        UsageError: The payload was to travel inside the request and is too large; the error names the largest files.
        ConfigError: It was to be uploaded, and there is no place for it.
    """
    fits = archive_size <= INLINE_LIMIT
    if options.payload == "inline" and not fits:
        raise _too_large(payload, archive_size)
    if options.payload == "inline" or (options.payload == "auto" and fits):
        return _inline_route(archive_size)
    if options.payload == "upload" or (options.payload == "auto" and options.storage_uri):
        return _upload_route(payload, archive_size, options)
    return _dataset_route(payload, archive_size, options)


def largest(payload: Payload) -> str:
    """Return the largest files of a payload as a phrase."""
    return ", ".join(f"{file.path} ({file.size:,} bytes)" for file in payload.largest())


def _inline_route(size: int) -> Route:
    verdict = f"payload: {size:,} of {INLINE_LIMIT:,} bytes; travels inside the request as a mounted file"
    return Route("inline", MOUNTED, verdict, file=LOCAL_FILE)


def _upload_route(payload: Payload, size: int, options: OsmoOptions) -> Route:
    if not options.storage_uri:
        raise ConfigError(
            "the payload is to be uploaded and no object storage is named",
            source="--payload upload",
            allowed="azure://ACCOUNT/CONTAINER/PATH, s3://BUCKET/PATH, gs://, swift://, tos://",
            hint="add --storage-uri URI, or set OSMO_STORAGE_URI",
        )
    uri = f"{options.storage_uri.rstrip('/')}/payloads/{payload.sha256}.zip"
    verdict = f"payload: {size:,} bytes; uploaded to {uri} unless it is there already"
    inputs = ({"url": uri},)
    return Route("upload", "{{input:0}}", verdict, inputs=inputs, link=link_path(options), remote=uri)


def _dataset_route(payload: Payload, size: int, options: OsmoOptions) -> Route:
    name = f"{options.dataset_bucket}/{options.dataset_name}"
    tag = f"gaitway-{payload.sha256[:16]}"
    verdict = (
        f"payload: {size:,} bytes, above {INLINE_LIMIT:,}" if size > INLINE_LIMIT else f"payload: {size:,} bytes"
    ) + f"; uploaded as a version of dataset {name} unless this content is there already (OSMO up to 6.3)"
    inputs = ({"dataset": {"name": f"{name}:{tag}"}},)
    return Route("dataset", "{{input:0}}", verdict, inputs=inputs, link=link_path(options), remote=name, tag=tag)


def link_path(options: OsmoOptions) -> str:
    """Return where a payload that has a folder of its own appears in the container."""
    return f"/data/{options.dataset_name}/training"


def _too_large(payload: Payload, size: int) -> UsageError:
    return UsageError(
        f"the payload's archive has {size:,} bytes; {INLINE_LIMIT:,} travel inside a request",
        source="--payload inline",
        allowed="--payload auto, dataset or upload",
        hint=f"the largest files: {largest(payload)}",
    )


KEPT_ARCHIVE = "osmo-training.zip"
KEPT_ENCODED = "osmo-training.b64"
"""Names of the copies that the instructions refer to."""


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


def write_archive(payload: Payload, folder: Path, tmp_dir: Path, *, inline: bool) -> Path:
    """Write the archive into a folder, encoded as well if it is to travel inline; keep copies for people.

    Returns:
        The archive, named after its content.
    """
    folder.mkdir(parents=True, exist_ok=True)
    archive = folder / f"{payload.sha256}.zip"
    with archive.open("w+b") as stream:
        pack(payload, stream, listed=True)
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
    (target / PAYLOAD_LIST).write_text(payload_list(payload), encoding="utf-8")
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
        version, reused = _upload_dataset(route, payload, folder)
        return Delivered("dataset", reused, dataset=route.remote, version=version)
    if route.kind == "upload":
        return Delivered("upload", _upload_archive(route.remote, archive), uri=route.remote)
    return Delivered("inline")


def check_datasets(name: str) -> None:
    """Ask whether this OSMO has datasets.

    Raises:
        NoDatasets: It has none.
        GaitwayError: There is no login, or OSMO does not answer.
    """
    _dataset_versions(name)


def _upload_dataset(route: Route, payload: Payload, folder: Path) -> tuple[str, bool]:
    known = _dataset_versions(f"{route.remote}:{route.tag}")
    if known:
        return known[-1], True
    before = set(_dataset_versions(route.remote))
    with staged(payload, folder) as source:
        client.output_of("dataset", "upload", route.remote, str(source), timeout=client.UPLOAD_TIMEOUT_S)
    fresh = [version for version in _dataset_versions(route.remote) if version not in before]
    if len(fresh) != 1:
        raise PlatformError(
            f"dataset {route.remote} got {len(fresh)} new versions while one was uploaded",
            source="osmo dataset info",
            hint="someone else uploaded at the same moment: run the command again",
        )
    client.output_of("dataset", "tag", f"{route.remote}:{fresh[0]}", "--set", route.tag)
    return fresh[0], False


def _dataset_versions(name: str) -> list[str]:
    """Return the versions of a dataset or of one of its tags; none where there is no such dataset.

    Raises:
        NoDatasets: The command or the service knows no datasets.
        GaitwayError: There is no login, or OSMO does not answer.
    """
    done = client.execute("dataset", "info", name, "--format-type", "json")
    if done.code == 0:
        return [str(version["version"]) for version in json.loads(done.stdout)["versions"]]
    if "invalid choice" in done.stderr or "Not Found" in done.stdout:
        raise NoDatasets
    error = client.error_of(done.code, done.stdout, done.stderr, ("dataset", "info"))
    if isinstance(error, ConfigError) or done.code in client.UNWELL:
        raise error
    return []


def _upload_archive(uri: str, archive: Path) -> bool:
    """Upload an archive, which bears its address's last part as a name, unless it is there; return whether it was."""
    parent, _, name = uri.rpartition("/")
    # The address itself would be taken for a folder.
    done = client.execute("data", "list", parent, "--prefix", name, "--no-pager")
    if done.code == 0 and any(line.endswith(name) for line in done.stdout.splitlines()):
        return True
    try:
        client.output_of("data", "upload", parent, str(archive), timeout=client.UPLOAD_TIMEOUT_S)
    except GaitwayError as error:
        raise PlatformError(
            f"the payload could not be uploaded: {error.message}", source=uri, hint=f"osmo data check {parent}"
        ) from None
    return False
