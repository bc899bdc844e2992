"""Interface of a learner: an object that turns an environment into checkpoints, and can be watched and stopped."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast, runtime_checkable

from ..distributed.group import Group
from ..spec.learners import LEARNERS

if TYPE_CHECKING:
    from ..simulators.base import Env
    from ..spec.job import TrainJob
    from .checkpoints import SavedTraining
    from .state import TrainingState

Mark = str | bool | int | float
"""A plain value that a checkpoint holds beside its tensors."""


class Callbacks(Protocol):
    """How a learner reports, and asks whether to continue. Called from the training thread; never blocks."""

    def on_iteration(self, iteration: int, total: int, steps: int, metrics: Mapping[str, float]) -> None:
        """One iteration is done: its zero-based number, the total to reach, environment steps so far, metrics."""
        ...

    def on_checkpoint(self, path: Path, iteration: int) -> None:
        """A checkpoint is complete on disk."""
        ...

    def should_stop(self) -> bool:
        """Whether the job was asked to stop; the learner then saves and returns."""
        ...


@runtime_checkable
class LooksAtPolicy(Protocol):
    """Callbacks that look at the policy while it trains."""

    def on_policy(self, iteration: int, write: Callable[[Path], None]) -> None:
        """One iteration is done and reported; ``write`` writes a checkpoint of the policy as it is now, if called."""
        ...


@dataclass(frozen=True, kw_only=True)
class TrainingStart:
    """Where a training starts from."""

    mode: str = "from-scratch"
    """``from-scratch``, ``warm-start`` or ``resume``."""
    saved: SavedTraining | None = None
    """The checkpoint, opened."""
    state: TrainingState | None = None
    """Its companion, opened."""
    no_state: str = ""
    """Why there is no companion, as a sentence; empty where there is one or none was looked for."""
    uri: str | None = None
    """The checkpoint's address, as exact as it is known."""
    run_id: str | None = None
    """MLflow run to continue."""


@dataclass(frozen=True, kw_only=True)
class LearnerTraining:
    """One training, as a learner gets it."""

    job: TrainJob
    """The job; ``max_iterations`` and ``save_interval`` are filled in before :meth:`Learner.train`."""
    env: Env
    """Training environment."""
    output_dir: Path
    """Gets ``checkpoints/model_<iteration>.pt`` and ``params/agent.yaml``."""
    start: TrainingStart = TrainingStart()
    """What to load first."""
    group: Group = field(default_factory=Group)
    """The processes that train together."""


@dataclass(frozen=True, kw_only=True)
class TrainingOutcome:
    """Result of a training."""

    iterations: int
    """Iterations done in total, those before a resume included."""
    steps: int
    """Environment steps done by this process, since it began."""
    seconds: float
    final_checkpoint: Path
    final_iteration: int
    """Number in the final checkpoint's name: the last iteration done, counted from zero."""
    stopped: bool
    """True when :meth:`Callbacks.should_stop` ended it before ``max_iterations``."""


class Learner(Protocol):
    """A row of :data:`~gaitway_runtime.spec.learners.LEARNERS`."""

    def check(self, training: LearnerTraining) -> None:
        """Check what can be checked before anything is written or tracked.

        Raises:
            UsageError: An override is unknown; the checkpoint is of another learner, or of other shapes than this
                task's (the message gives both).
        """
        ...

    def train(self, training: LearnerTraining, callbacks: Callbacks, marks: Mapping[str, Mark]) -> TrainingOutcome:
        """Train until ``job.max_iterations`` iterations are done in total, or a stop is asked for.

        Args:
            training: The training; it passed :meth:`check`.
            callbacks: Called at every iteration and every complete checkpoint.
            marks: Written into every checkpoint beside the learner's own; read when one is written.

        Raises:
            JobFailed: Losses, weights or observations stopped being finite (the message names the iteration), or a
                checkpoint could not be saved; either names the last good checkpoint.
        """
        ...


@dataclass(frozen=True)
class TrainingScale:
    """How long a task is trained where the user does not say."""

    max_iterations: int
    save_interval: int
    """Iterations between checkpoints."""


@runtime_checkable
class ReadsTaskScale(Protocol):
    """A learner that finds a task's scale in the settings that the task itself brings."""

    def scale(self, training: LearnerTraining) -> TrainingScale | None:
        """Return the scale of the task's own settings; None where it brings none."""
        ...


@runtime_checkable
class TellsHorizon(Protocol):
    """A learner that tells how much it collects before it learns."""

    def horizon(self, training: LearnerTraining) -> int:
        """Return the steps of each environment in an iteration."""
        ...


def load(name: str) -> Learner:
    """Return the learner of that name.

    Raises:
        UsageError: The name is unknown.
        ConfigError: The package that brings it cannot be imported.
    """
    return cast(Learner, LEARNERS.get(name, "--backend"))
