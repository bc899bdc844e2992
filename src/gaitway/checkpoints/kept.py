"""Checkpoints that a platform keeps itself and hands on from run to run, without a tracking server."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from ..status import RunRef


@dataclass(frozen=True)
class KeptCheckpoint:
    """A whole checkpoint that a run on a platform has reported."""

    iteration: int
    path: str
    """Path below the run's output folder."""
    sha256: str
    """Empty where it is not known."""
    kept_at: str | None = None
    """Place in object storage that has it already; None while only the run has it."""
    reward: float | None = None
    """Mean reward of the training around that iteration, where it is known."""


@runtime_checkable
class KeepsCheckpoints(Protocol):
    """A platform that hands checkpoints on from run to run without a tracking server."""

    def list_checkpoints(self, ref: RunRef, run_dir: Path) -> Sequence[KeptCheckpoint]:
        """Return the checkpoints that a run has reported, also while it runs; oldest first."""
        ...

    def checkpoint_address(self, ref: RunRef, run_dir: Path, which: str) -> str | None:
        """Return the address by which a later job on this platform gets a checkpoint.

        Args:
            ref: The run.
            run_dir: Its folder in the ledger.
            which: ``latest`` or an iteration.
        """
        ...

    def is_checkpoint_address(self, text: str) -> bool:
        """Return whether a job on this platform can be given a text as its checkpoint as it is."""
        ...

    def is_tracked(self, run_dir: Path) -> bool:
        """Return whether the run's checkpoints are on a tracking server, so that they need not be handed on here."""
        ...


SourceOf = Callable[[str], object]
"""Returns the platform of a name; one that keeps checkpoints is a :class:`KeepsCheckpoints`."""


def no_source(name: str) -> object:
    """Return nothing: for callers that ask no platform."""
    return None
