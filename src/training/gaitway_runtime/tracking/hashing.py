"""SHA-256 of files, and where it is recorded."""

from __future__ import annotations

import hashlib
from pathlib import Path

SHA256_TAG = "gaitway.sha256."
"""Prefix of the run tags that hold the SHA-256 of published checkpoints; the file's stem follows."""
VERSION_SHA256_TAG = "gaitway.sha256"
"""Tag of a registered model version that holds the SHA-256 of its checkpoint."""

_BLOCK = 1 << 20


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file as hex digits."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()
