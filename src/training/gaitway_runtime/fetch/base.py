"""Checkpoint addresses: what a scheme offers, and the files that an address stands for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Protocol

from ..spec.run_context import RunContext
from ..stores.streams import Source, StreamLimits

MOST_CANDIDATES = 5
"""Newest checkpoints of a folder that are tried, where the newest cannot be read."""


@dataclass(frozen=True)
class Order:
    """Circumstances of a fetch."""

    context: RunContext = field(default_factory=RunContext)
    """The run on whose behalf it is; says which tracking server is asked."""
    limits: StreamLimits = field(default_factory=StreamLimits)


@dataclass(frozen=True)
class Located:
    """One file that an address leads to."""

    resolved_uri: str
    """The address of this file, without secrets."""
    name: str
    source: Source | None = None
    path: Path | None = None
    """The file itself, where it is on this machine; then nothing is transferred."""
    sha256: str | None = None
    """The file's hash, where its store tells."""
    run_id: str | None = None
    note: str = ""
    """One sentence the user should see: which file was chosen, and why."""
    config: Callable[[], Mapping[str, Source]] = field(default=dict)
    """Finds the training configuration that its run keeps (``agent.yaml``...), by file name."""


class Address(Protocol):
    """A parsed checkpoint address. Its class is a row of :data:`~gaitway_runtime.spec.schemes.SCHEMES`."""

    form: ClassVar[str]
    """How such an address is written, for help and error texts."""

    @classmethod
    def parse(cls, text: str) -> Address:
        """Return the address that a text of this scheme stands for; nothing is contacted.

        Raises:
            UsageError: It is malformed.
        """
        ...

    def locate(self, order: Order) -> tuple[Located, ...]:
        """Find the file it stands for; for a folder its newest checkpoints, the newest first.

        Where one cannot be read, because it was cut off while it was written, the next is taken.

        Raises:
            GaitwayError: There is none, or it may not be read.
        """
        ...
