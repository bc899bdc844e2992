"""Transfer of one file from a source to the disk: resumed, bounded, hashed; the file appears whole or not at all."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from ..spec.errors import ConfigError, PlatformError
from ..spec.files import replacing
from .mlflow_client import Retries
from .streams import Changed, Source, Stream, StreamLimits, Transient, UnreadableFile


@dataclass(frozen=True)
class Received:
    """Hash and size of a file that has arrived [bytes]."""

    sha256: str
    size: int


def transfer(
    source: Source, target: Path, limits: StreamLimits, shown: str, expected_sha256: str | None = None
) -> Received:
    """Read a file into ``target``, which appears only when it is whole and right.

    Args:
        source: Where to read.
        target: Where to write.
        limits: Bounds of size, time and patience.
        shown: The address as errors may show it.
        expected_sha256: Expected SHA-256 of the content, in lower case.

    Raises:
        PlatformError: The source fails, or a limit is exceeded.
        UnreadableFile: The content is not the expected one.
        ConfigError: The disk is full or cannot be written.
        GaitwayError: The source refuses.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with replacing(target) as partial, partial.open("r+b") as file:
            reception = Reception(file, limits, shown)
            _receive(source, reception, limits, shown)
            received = Received(reception.digest.hexdigest(), reception.size)
            check_hash(received.sha256, expected_sha256, shown)
            return received
    except OSError as error:
        raise ConfigError(f"the checkpoint cannot be saved: {error.strerror}", source=str(target)) from None


def check_hash(actual: str, expected: str | None, shown: str) -> None:
    """Compare a hash with the one that was promised.

    Raises:
        UnreadableFile: They differ.
    """
    if expected and actual != expected:
        raise UnreadableFile(
            "the checkpoint is not the one that was promised: its SHA-256 differs",
            source=shown,
            allowed=f"{expected}, found {actual}",
            hint="fetch it again from a place you trust, or correct --checkpoint-sha256",
        )


class Reception:
    """A file that is being received.

    Args:
        file: Where to write.
        limits: Bounds.
        shown: The address as errors may show it.
    """

    def __init__(self, file: BinaryIO, limits: StreamLimits, shown: str) -> None:
        self._file = file
        self._limits = limits
        self._shown = shown
        self.digest = hashlib.sha256()
        self.size = 0
        self.furthest = 0
        self.version: str | None = None
        self.total: int | None = None
        self.on_chunk: Callable[[int], None] = lambda arrived: None
        """Called with the bytes that have arrived, after each chunk; may raise to end the transfer."""

    def restart(self) -> None:
        """Discard everything that has arrived."""
        self._file.seek(0)
        self._file.truncate()
        self.digest = hashlib.sha256()
        self.size = 0
        self.version = self.total = None

    def accept(self, stream: Stream) -> None:
        """Write a stream to its end.

        Raises:
            Changed: It belongs to another content than what has arrived already.
            Transient: It ended early or was too slow.
            PlatformError: It is too large.
        """
        if stream.offset == 0 and self.size:
            self.restart()
        resumed = self.size > 0
        if stream.offset != self.size or (resumed and (stream.version, stream.total) != (self.version, self.total)):
            raise Changed
        self.version, self.total = stream.version, stream.total
        self._check_size(stream.total or 0)
        pace = _Pace(self._limits)
        for chunk in stream.chunks:
            self._check_size(self.size + len(chunk))
            self._file.write(chunk)
            self.digest.update(chunk)
            self.size += len(chunk)
            self.furthest = max(self.furthest, self.size)
            pace.count(len(chunk))
            self.on_chunk(self.furthest)
        if self.total is not None and self.size != self.total:
            raise Transient(f"it ended after {self.size} of {self.total} bytes")

    def _check_size(self, size: int) -> None:
        if size > self._limits.max_bytes:
            raise PlatformError(
                "the file is too large for a checkpoint",
                source=self._shown,
                allowed=f"at most {self._limits.max_bytes / 2**20:,.0f} MiB, found {size / 2**20:,.0f} MiB or more",
            )


class _Pace:
    """The speed of a stream; a stream that is too slow is refused."""

    def __init__(self, limits: StreamLimits) -> None:
        self._limits = limits
        self._since = time.monotonic()
        self._count = 0

    def count(self, size: int) -> None:
        self._count += size
        now = time.monotonic()
        if now - self._since < self._limits.window:
            return
        if self._count < self._limits.slowest * (now - self._since):
            raise Transient(f"it is slower than {self._limits.slowest / 1024:g} KiB/s")
        self._since, self._count = now, 0


def _receive(source: Source, reception: Reception, limits: StreamLimits, shown: str) -> None:
    retries = Retries(limits, shown)
    reception.on_chunk = retries.check_time
    while True:
        mark = reception.furthest
        try:
            with source.open(reception.size, reception.version) as stream:
                reception.accept(stream)
            return
        except Changed:
            retries.changed()
            reception.restart()
        except Transient as error:
            progressed = reception.furthest - mark >= limits.progress
            retries.failed(error, progressed=progressed, arrived=reception.furthest)
