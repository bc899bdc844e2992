"""What the parts of fetching say to each other: addresses, where they lead, streams, limits."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Protocol
from urllib.parse import unquote

from ...errors import UsageError
from ...job import RunContext


@dataclass(frozen=True)
class Limits:
    """Bounds of one transfer: no server can make it larger, longer or more stubborn than this."""

    max_bytes: int = 4 * 2**30
    attempts: int = 6
    """Failures in a row without :attr:`progress` in between."""
    progress: int = 64 * 2**10
    """Bytes that count as getting on."""
    restarts: int = 3
    """How often the content may change under our hands."""
    first_wait: float = 0.5
    longest_wait: float = 30.0
    """Back-off between attempts [s]; the longest also bounds what a server may ask for with Retry-After."""
    idle: float = 30.0
    """Longest silence of a server [s]."""
    slowest: float = 2048.0
    """Slowest accepted mean speed over :attr:`window` [bytes/s]."""
    window: float = 30.0
    redirects: int = 5


@dataclass(frozen=True)
class Order:
    """What a fetch is asked for, beside the address."""

    context: RunContext = field(default_factory=RunContext)
    """The run on whose behalf; says which tracking server is asked."""
    limits: Limits = field(default_factory=Limits)


@dataclass(frozen=True)
class Stream:
    """The bytes of a file from ``offset`` on."""

    chunks: Iterator[bytes]
    offset: int
    """Where the first chunk belongs; 0 where the server cannot resume."""
    total: int | None
    """Size of the whole file, where the server tells."""
    version: str | None
    """What changes whenever the content does (an entity tag), where the server tells."""


class Source(Protocol):
    """Something a file can be read from."""

    def open(self, offset: int, version: str | None) -> AbstractContextManager[Stream]:
        """Open the file at an offset, on condition that it is still the version that was begun.

        Raises:
            Transient: It may work at another try.
            Changed: The content is not the one that was begun.
            GaitwayError: It will not work.
        """
        ...


class Transient(Exception):
    """A failure that may pass.

    Args:
        reason: One line without secrets.
        retry_after: What the server asks to wait [s].
    """

    def __init__(self, reason: str, retry_after: float | None = None) -> None:
        super().__init__(reason)
        self.retry_after = retry_after


class Changed(Exception):
    """The file is another one than when its transfer began."""


@dataclass(frozen=True)
class Located:
    """Where an address leads: one file."""

    resolved_uri: str
    """The address of that very file, without secrets."""
    name: str
    source: Source | None = None
    path: Path | None = None
    """The file itself, where it is on this machine; then there is nothing to transfer."""
    sha256: str | None = None
    """The file's hash, where its surroundings tell."""
    run_id: str | None = None
    note: str = ""
    """One sentence the user should see: which file was chosen, and why."""


class Address(Protocol):
    """A parsed checkpoint address. A new kind is one file with such a class and a row in ``SCHEMES``."""

    form: ClassVar[str]
    """How such an address is written, for help and error texts."""

    @classmethod
    def parse(cls, text: str) -> Address | None:
        """Return the address, or None if the text is of another kind.

        Raises:
            UsageError: It is of this kind and malformed.
        """
        ...

    def locate(self, order: Order) -> Located:
        """Find the one file it stands for.

        Raises:
            GaitwayError: There is none, or it may not be read.
        """
        ...


def clean_path(text: str, source: str) -> str:
    """Return a path below some root, without empty parts.

    Raises:
        UsageError: It could lead out of the root, or holds characters that no artifact has.
    """
    parts = [part for part in text.split("/") if part]
    for part in parts:
        plain = unquote(unquote(part))
        if plain in (".", "..") or re.search(r"[/\\\x00-\x1f\x7f]", plain):
            raise UsageError(f"'{part[:80]}' cannot be part of an artifact's path", source=source)
    return "/".join(parts)


def safe_name(name: str) -> str:
    """Return a file name made of harmless characters, from whatever a server calls a file."""
    plain = re.sub(r"[^A-Za-z0-9._-]", "_", name.rpartition("/")[2])[-120:].lstrip(".")
    return plain or "checkpoint"
