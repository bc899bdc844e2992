"""Sidecars: ``.sha256`` files beside checkpoints."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from ..spec.errors import GaitwayError
from ..stores.streams import Changed, Source, Transient

SUFFIX = ".sha256"


def read_sidecar(content: bytes) -> str | None:
    """Return the hash in a sidecar (``sha256sum``'s form or bare), or None if there is none in it."""
    found = re.match(rb"\s*([0-9a-fA-F]{64})(?:\s|$)", content)
    return found[1].decode().lower() if found else None


def hash_from(sidecar: Source) -> str | None:
    """Return the hash in a sidecar, or None where it cannot be read."""
    try:
        with sidecar.open(0, None) as stream:
            return read_sidecar(next(stream.chunks, b"")[:200])
    except (Transient, Changed, GaitwayError):
        return None


def sidecar_url(url: str) -> str:
    """Return the URL of a file's sidecar; the query, which may hold the credential, stays."""
    parts = urlsplit(url)
    return parts._replace(path=parts.path + SUFFIX, fragment="").geturl()
