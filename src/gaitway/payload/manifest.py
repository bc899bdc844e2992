"""What a payload is, before anything is packed."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class PayloadFile:
    """One file: where it lies, where it goes, how large it is and what it holds."""

    source: Path
    path: str
    """Path inside the payload, with ``/``."""
    size: int
    """[bytes]."""
    sha256: str


@dataclass(frozen=True)
class LeftOut:
    """A file that a user might expect in the payload and that is not in it, with the reason."""

    path: str
    reason: str


@dataclass(frozen=True)
class Payload:
    """The files of a job and their provenance.

    ``sha256`` is a digest over the sorted paths and contents: equal content gives an equal digest on any
    machine, whatever the file times and owners are.
    """

    files: tuple[PayloadFile, ...]
    sha256: str
    commit: str | None = None
    dirty: tuple[str, ...] = ()
    """Files of the payload that are not committed as they are."""
    roots: tuple[str, ...] = ()
    """What it was selected from, as the user named it."""
    left_out: tuple[LeftOut, ...] = ()
    notes: tuple[str, ...] = ()
    """Decisions of the selection that a user should see."""

    @property
    def size(self) -> int:
        """Bytes of all files, unpacked."""
        return sum(file.size for file in self.files)

    def largest(self, count: int = 5) -> tuple[PayloadFile, ...]:
        """Return the largest files, largest first."""
        return tuple(sorted(self.files, key=lambda file: -file.size)[:count])


def to_document(payload: Payload) -> dict[str, Any]:
    """Return the payload as it stands in ``payload.json``."""
    return {
        "sha256": payload.sha256,
        "size": payload.size,
        "commit": payload.commit,
        "dirty": list(payload.dirty),
        "roots": list(payload.roots),
        "notes": list(payload.notes),
        "left_out": [dataclasses.asdict(left) for left in payload.left_out],
        "files": [{"path": file.path, "size": file.size, "sha256": file.sha256} for file in payload.files],
    }


def files_of(document: Mapping[str, Any]) -> dict[str, str]:
    """Return the content hash of each file of a ``payload.json`` document, by path."""
    return {file["path"]: file["sha256"] for file in document["files"]}
