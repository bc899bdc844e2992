"""Hashes that are known of a run's artifacts: of its manifests, or of the tags of older runs."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path, PurePosixPath

from ..spec.errors import GaitwayError
from .artifacts import ASIDE, SHA256_TAG, ArtifactFolder
from .streams import Changed, Transient

MANIFESTS = "manifest"
"""Folder of the manifests among a run's artifacts: one JSON file an attempt (see ``tracking/manifest.py``)."""

_LONGEST = 4 * 2**20
_MOST_MANIFESTS = 8
_SHA256 = re.compile(r"[0-9a-f]{64}")


class KnownHashes:
    """Hashes of the files of an artifact folder, looked up once.

    Args:
        folder: The folder, with the root of the run.
        tags: The run's tags.
    """

    def __init__(self, folder: ArtifactFolder, tags: Mapping[str, str]) -> None:
        self._tags = tags
        self._listed = _manifests(folder)

    def of(self, path: str) -> str | None:
        """Return the SHA-256 of an artifact, or None where none is known: manifests name files by their own place."""
        path = re.sub(rf"^{ASIDE}/[^/]+/", "", path)
        found = self._listed.get(path) or self._tags.get(SHA256_TAG + PurePosixPath(path).stem, "")
        return found if _SHA256.fullmatch(found) else None


def local_hash(path: Path) -> str | None:
    """Return the SHA-256 that the manifest of a run's output folder has of a checkpoint in it, or None."""
    found = None
    for manifest in sorted((path.parent.parent / MANIFESTS).glob("*.json")):
        with suppress(OSError):
            listed = _parsed(manifest.read_bytes()[:_LONGEST])
            found = listed.get(f"{path.parent.name}/{path.name}", found)
    return found if found and _SHA256.fullmatch(found) else None


def _manifests(folder: ArtifactFolder) -> dict[str, str]:
    """Return the hashes of the newest manifest of each attempt, those of later attempts last."""
    newest: dict[str, str] = {}
    for path in sorted(entry.path for entry in folder.entries(MANIFESTS) if not entry.is_dir):
        newest[PurePosixPath(path).name.split(".")[0]] = path  # numbers follow the attempt: the highest comes last
    hashes: dict[str, str] = {}
    for path in list(newest.values())[-_MOST_MANIFESTS:]:
        hashes.update(_read(folder, path))
    return hashes


def _read(folder: ArtifactFolder, path: str) -> dict[str, str]:
    try:
        with folder.source(path).open(0, None) as stream:
            content = b""
            for chunk in stream.chunks:
                content += chunk
                if len(content) > _LONGEST:
                    return {}
    except (Transient, Changed, GaitwayError):
        return {}
    return _parsed(content)


def _parsed(content: bytes) -> dict[str, str]:
    try:
        files = json.loads(content)["files"]
        return {str(name): str(listed["sha256"]) for name, listed in files.items()}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}
