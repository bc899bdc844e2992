"""Which process this is of several that train together. Standard library only.

Whoever starts the processes says so in the environment, in the words of PyTorch: ``gaitway_runtime.launch``, torchrun
and Azure ML alike. The first process (``RANK`` 0) speaks for all: it alone tracks, publishes, registers, writes
``result.json`` and fills the log. What the others have to say lies in ``outputs/ranks/<rank>/``.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from .errors import UsageError

RANKS_FOLDER = "ranks"
"""Below the job's outputs: one folder for each process but the first."""


@dataclass(frozen=True)
class Rank:
    """The place of a process among those that train together; alone by default."""

    number: int = 0
    """Counted over all nodes."""
    local: int = 0
    """Counted on this node: which GPU is its own."""
    world: int = 1
    """Processes on all nodes."""
    local_world: int = 1
    """Processes on this node."""

    @property
    def several(self) -> bool:
        """Whether there are others."""
        return self.world > 1

    @property
    def first(self) -> bool:
        """Whether this process speaks for all."""
        return self.number == 0

    def device(self, asked: str) -> str:
        """Return the device to use where ``asked`` was asked for: of several processes each takes its own GPU."""
        return f"cuda:{self.local}" if self.several and asked.startswith("cuda") else asked

    def folder(self, output_dir: Path) -> Path:
        """Return where this process writes: the job's output folder, or one of its own below it."""
        return output_dir if self.first else output_dir / RANKS_FOLDER / str(self.number)

    def __str__(self) -> str:
        return f"process {self.number + 1} of {self.world}"


ALONE = Rank()
"""A process without others."""


def of(environ: Mapping[str, str]) -> Rank:
    """Return the place that an environment describes.

    Raises:
        UsageError: It contradicts itself.
    """
    world = count(environ, "WORLD_SIZE", 1)
    if world <= 1:
        return ALONE
    number, local = count(environ, "RANK", 0), count(environ, "LOCAL_RANK", 0)
    if number >= world:
        raise UsageError(f"process {number} of {world} cannot be: they are counted from 0", source="env RANK")
    return Rank(number, local, world, count(environ, "LOCAL_WORLD_SIZE", 1))


def current() -> Rank:
    """Return the place of this process.

    Raises:
        UsageError: The environment contradicts itself.
    """
    return of(os.environ)


@contextlib.contextmanager
def unseen() -> Iterator[None]:
    """Hide from a library that there are several processes, while it is imported.

    skrl joins a group of its own choosing (NCCL) as soon as it is imported; which group it is, is decided here.
    """
    world = os.environ.pop("WORLD_SIZE", None)
    try:
        yield
    finally:
        if world is not None:
            os.environ["WORLD_SIZE"] = world


def count(environ: Mapping[str, str], name: str, default: int) -> int:
    """Return the number that a variable holds.

    Raises:
        UsageError: It holds something else.
    """
    text = environ.get(name) or str(default)
    if not text.isdecimal():
        raise UsageError(f"{name} is not a count: '{text}'", source=f"env {name}")
    return int(text)
