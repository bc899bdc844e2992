"""Rank of a process among those that train together, and its share of a node's processors.

Whoever starts the processes (our launcher, torchrun, Azure ML) sets PyTorch's variables.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from ..process.processors import usable
from ..spec.errors import UsageError

RANKS_FOLDER = "ranks"
"""Below the job's outputs: one folder for each process but rank 0."""


@dataclass(frozen=True)
class Rank:
    """The place of a process among those that train together; a process without others by default."""

    number: int = 0
    """Counted over all nodes."""
    local: int = 0
    """Counted on this node; the index of its GPU."""
    world: int = 1
    """Processes on all nodes."""
    local_world: int = 1
    """Processes on this node."""

    @property
    def several(self) -> bool:
        """Whether there are others."""
        return self.world > 1

    @property
    def several_nodes(self) -> bool:
        """Whether some of the others are on another node."""
        return self.world > self.local_world

    @property
    def first(self) -> bool:
        """Whether this is rank 0."""
        return self.number == 0

    def device(self, asked: str) -> str:
        """Return the device to use where ``asked`` was requested: of several processes each takes its own GPU."""
        return f"cuda:{self.local}" if self.several and asked.startswith("cuda") else asked

    def folder(self, output_dir: Path) -> Path:
        """Return where this process writes: the job's output folder, or one of its own below it."""
        return output_dir if self.first else output_dir / RANKS_FOLDER / str(self.number)

    def __str__(self) -> str:
        return f"process {self.number + 1} of {self.world}"


ALONE = Rank()
"""A process without others."""


def rank_from(environ: Mapping[str, str]) -> Rank:
    """Return the rank that an environment describes.

    Raises:
        UsageError: It contradicts itself.
    """
    world = count(environ, "WORLD_SIZE", 1)
    if world <= 1:
        return ALONE
    number, local = count(environ, "RANK", 0), count(environ, "LOCAL_RANK", 0)
    if number >= world:
        raise UsageError(f"RANK is {number} of {world} processes, which are counted from 0", source="env RANK")
    return Rank(number, local, world, count(environ, "LOCAL_WORLD_SIZE", 1))


def current() -> Rank:
    """Return the rank of this process.

    Raises:
        UsageError: The environment contradicts itself.
    """
    return rank_from(os.environ)


@contextlib.contextmanager
def hidden_group() -> Iterator[None]:
    """Hide from a library that there are several processes while it is imported.

    skrl joins a group of its own (NCCL) as soon as it is imported; gaitway joins one itself.
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


def available_cpus() -> int:
    """Return how many CPUs this process may use.

    A container's share may be less than the machine's, and of several processes on a node each has a part.
    """
    return max(1, usable().count // current().local_world)
