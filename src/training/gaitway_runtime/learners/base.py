"""What a learner is: something that turns an environment into checkpoints, and can be watched and stopped."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from .. import ranks
from ..errors import UsageError

if TYPE_CHECKING:
    from ..job import TrainJob
    from ..simulators.base import Env

LEARNERS: dict[str, str] = {
    "rsl_rl": "gaitway_runtime.learners.rsl_rl",
    "skrl": "gaitway_runtime.learners.skrl",
}
"""Learner modules by ``--backend``, imported when asked for. Each offers ``check`` and ``train``."""

NATIVE_LEARNERS: dict[str, str] = {
    "rsl_rl": "gaitway_runtime.learners.rsl_rl_native",
    "skrl": "gaitway_runtime.learners.skrl_native",
}
"""The same for environments that have a wrapper of the library's own and bring the task's settings for it."""

Mark = str | bool | int | float
"""What a checkpoint can say of itself beside its tensors."""


class Hooks(Protocol):
    """How a learner tells what happens, and asks whether to go on. Called from the training thread; never blocks."""

    def on_iteration(self, iteration: int, total: int, steps: int, metrics: Mapping[str, float]) -> None:
        """One iteration is done: its zero-based number, the total to reach, environment steps so far, metrics."""
        ...

    def on_checkpoint(self, path: Path, iteration: int) -> None:
        """A checkpoint is complete on disk."""
        ...

    def should_stop(self) -> bool:
        """Whether the job was asked to stop; the learner then saves and returns."""
        ...


@dataclass(frozen=True, kw_only=True)
class Start:
    """Where training starts from."""

    mode: str = "from-scratch"
    """``from-scratch``, ``warm-start`` or ``resume``."""
    checkpoint: Path | None = None


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What training came to."""

    iterations: int
    """Iterations done in total, those before a resume included."""
    steps: int
    """Environment steps done by this process, since it began."""
    seconds: float
    final_checkpoint: Path
    final_iteration: int
    """Number in the final checkpoint's name: the last iteration done, counted from zero."""
    stopped: bool
    """True when :meth:`Hooks.should_stop` ended it before ``max_iterations``."""


class LearnerModule(Protocol):
    """What a module in :data:`LEARNERS` offers."""

    def check(self, job: TrainJob, env: Env, start: Start) -> None:
        """Check what can be checked before anything is written or tracked.

        Raises:
            UsageError: An override is unknown; the checkpoint is of another learner, or of other shapes than this
                task's (the message gives both).
        """
        ...

    def train(
        self, job: TrainJob, env: Env, start: Start, output_dir: Path, hooks: Hooks, marks: Mapping[str, Mark]
    ) -> Outcome:
        """Train until ``job.max_iterations`` iterations are done in total, or a stop is asked for.

        Args:
            job: The job, with ``max_iterations`` and ``save_interval`` filled in.
            env: Training environment.
            start: What to load first; it passed :meth:`check`.
            output_dir: Gets ``checkpoints/model_<iteration>.pt`` and ``params/agent.yaml``.
            hooks: Told of every iteration and every complete checkpoint.
            marks: Written into every checkpoint beside what the learner says of it.

        Raises:
            JobFailed: Losses, weights or observations stopped being finite (the message names the iteration), or a
                checkpoint could not be saved; either names the last good checkpoint.
        """
        ...


def load(name: str, *, native: bool = False) -> LearnerModule:
    """Return the learner module of that name.

    Args:
        name: The learning library.
        native: Whether the environment is a :class:`~gaitway_runtime.simulators.base.TrainsNatively`.

    Raises:
        UsageError: The name is unknown.
    """
    known = NATIVE_LEARNERS if native else LEARNERS
    if name not in known:
        raise UsageError(f"unknown backend '{name}'", source="--backend", allowed=", ".join(known))
    with ranks.unseen():
        module: LearnerModule = importlib.import_module(known[name])
    return module
