"""What a payload is, before anything is packed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


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
    """The folders it was selected from, as the user named them."""

    @property
    def size(self) -> int:
        """Bytes of all files, unpacked."""
        return sum(file.size for file in self.files)

    def largest(self, count: int = 5) -> tuple[PayloadFile, ...]:
        """Return the largest files, largest first."""
        return tuple(sorted(self.files, key=lambda file: -file.size)[:count])
