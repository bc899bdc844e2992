"""Files as streams: the limits of a transfer, a source to read from, and how reading can fail."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

from ..spec.errors import PlatformError, UsageError

_BLOCK = 1 << 20


@dataclass(frozen=True)
class StreamLimits:
    """Bounds of one transfer: no server can make it larger or longer than this, or repeat it more often."""

    max_bytes: int = 4 * 2**30
    attempts: int = 6
    """Failures in a row without :attr:`progress` in between."""
    progress: int = 64 * 2**10
    """Bytes that count as progress."""
    restarts: int = 3
    """How often the content may change while it is read."""
    first_wait: float = 0.5
    longest_wait: float = 30.0
    """Back-off between attempts [s]; the longest also bounds what a server may ask for with Retry-After."""
    idle: float = 30.0
    """Longest silence of a server [s]."""
    slowest: float = 2048.0
    """Slowest accepted mean speed over :attr:`window` [bytes/s]."""
    window: float = 30.0
    redirects: int = 5
    patience: float = 120.0
    """Longest time of a whole transfer, or of a question with all its attempts, before its size counts [s]."""
    steady: float = 64 * 2**10
    """Speed by which :attr:`patience` grows with the bytes that have arrived [bytes/s]."""


@dataclass(frozen=True)
class Stream:
    """The bytes of a file from ``offset`` on."""

    chunks: Iterator[bytes]
    offset: int
    """Where the first chunk belongs; 0 where the server cannot resume."""
    total: int | None
    """Size of the whole file, where the server tells."""
    version: str | None
    """Entity tag: changes whenever the content does; None where the server has none."""


class Source(Protocol):
    """Something a file can be read from."""

    def open(self, offset: int, version: str | None) -> AbstractContextManager[Stream]:
        """Open the file at an offset, on condition that it is still the version that was begun.

        Raises:
            Transient: Another attempt may succeed.
            Changed: The content is not the one that was begun.
            GaitwayError: No attempt will succeed.
        """
        ...


class Transient(Exception):
    """A failure that may pass.

    Args:
        reason: One line without secrets.
        retry_after: Wait that the server asks for [s].
    """

    def __init__(self, reason: str, retry_after: float | None = None) -> None:
        super().__init__(reason)
        self.retry_after = retry_after


class MissingFile(UsageError):
    """A file that does not exist, although a listing may name it."""


class UnreadableFile(PlatformError):
    """A file cannot be read whole: its content is missing, damaged, or another than was promised."""


class Changed(Exception):
    """The file is another one than when its transfer began."""


@dataclass(frozen=True)
class FileSource:
    """A file on this machine as a source to copy from."""

    path: Path

    @contextmanager
    def open(self, offset: int, version: str | None) -> Iterator[Stream]:
        """See :class:`Source`."""
        try:
            file = self.path.open("rb")
        except OSError as error:
            raise UsageError(f"this file cannot be read: {error.strerror}", source=str(self.path)) from None
        with file:
            yield Stream(_blocks(file), 0, os.fstat(file.fileno()).st_size, None)


def _blocks(file: BinaryIO) -> Iterator[bytes]:
    while block := file.read(_BLOCK):
        yield block
