"""The seam under the engine: what it asks of the physics of many worlds, and MuJoCo's batch engine in that place.

Another engine for the same models takes the place of MuJoCo's with a :class:`Physics` of its own; everything above
it, from the reading of states to rewards and resets, stays as it is.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import mujoco
from mujoco.batch import Batch
from numpy.typing import NDArray

from ...distributed.rank import available_cpus
from ...tasks.arrays import Array
from ...tasks.environment import EnvCfg

Recorded = Mapping[Any, NDArray[Any]]
"""Arrays (N, steps, size) that a rollout fills in, by the field's name."""


class WorldBatch(Protocol):
    """Physics of N worlds of one model, as ``mujoco.batch.Batch`` offers it."""

    state: Array
    """Everything that the next step depends on, a row for each world, to be read and written."""
    warning: NDArray[Any]
    """Counts of MuJoCo's warnings, (N, warnings, 2), the second of each pair over all time."""

    def bind(self, name: str, /) -> Array:
        """Return an array over a field of ``MjData``, (N, ...); those of the state may be written."""
        ...

    def expand(self, name: str, /) -> Array:
        """Give a field of the model a value for each world, (N, ...), to be written before the next step."""
        ...

    def expanded(self, name: str, /) -> Array | None:
        """Return the values that :meth:`expand` gave the worlds; None where they share the model's."""
        ...

    def set_const(self) -> None:
        """Let what follows from masses and inertias follow from those that were expanded."""
        ...

    def step(self, *, nstep: int) -> None:
        """Advance all worlds by some physics steps."""
        ...

    def rollout(self, nstep: int, /, *, record: Sequence[Any], out: Any) -> object:
        """Advance all worlds and record fields after each physics step into arrays (N, nstep, size)."""
        ...


@dataclass(frozen=True)
class Physics:
    """An engine that steps the embedded simulator's models."""

    simulator: str
    """Name and release, as the policy's contract has it: ``mujoco 4.0.0``."""
    make: Callable[[mujoco.MjModel, int], WorldBatch]
    """Makes the worlds of a model, given their number."""
    check: Callable[[EnvCfg], None] = lambda task: None
    """Raises a UsageError for a task that the engine cannot step."""
    not_restored: str = ""
    """What a saved state lacks for a training to continue bit for bit, as the end of a sentence; empty: nothing."""


def batch_engine(nthread: int = 0) -> Physics:
    """Return MuJoCo's batch engine, on the CPU.

    Args:
        nthread: Threads to step on; 0 for one per available CPU. Results do not depend on it.
    """
    return Physics(f"mujoco {mujoco.__version__}", functools.partial(_batch, nthread=nthread))


def _batch(model: mujoco.MjModel, num_envs: int, nthread: int) -> WorldBatch:
    found: WorldBatch = Batch(model, num_envs, nthread or available_cpus())
    return found
