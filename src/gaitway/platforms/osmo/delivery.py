"""How a payload reaches a task: inside the request, as a dataset, or as an upload to object storage."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ...errors import ConfigError, UsageError
from ...payload.manifest import Payload
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


def choose(payload: Payload, archive_size: int, options: OsmoOptions) -> Route:
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
        return _inline(archive_size)
    if options.payload == "upload" or (options.payload == "auto" and options.storage_uri):
        return _upload(payload, archive_size, options)
    return _dataset(payload, archive_size, options)


def largest(payload: Payload) -> str:
    """Return the largest files of a payload as a phrase."""
    return ", ".join(f"{file.path} ({file.size:,} bytes)" for file in payload.largest())


def _inline(size: int) -> Route:
    verdict = f"payload: {size:,} of {INLINE_LIMIT:,} bytes; travels inside the request as a mounted file"
    return Route("inline", MOUNTED, verdict, file=LOCAL_FILE)


def _upload(payload: Payload, size: int, options: OsmoOptions) -> Route:
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


def _dataset(payload: Payload, size: int, options: OsmoOptions) -> Route:
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
