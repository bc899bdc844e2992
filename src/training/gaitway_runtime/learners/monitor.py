"""Monitor of one training: reports iterations, saves checkpoints, stops on NaN or Inf."""

from __future__ import annotations

import contextlib
import logging
import math
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from ..distributed.group import Group
from ..spec.checkpoint_files import sha256_of
from ..spec.errors import JobFailed
from ..spec.files import sync_folder
from .base import Callbacks, LooksAtPolicy
from .state import TrainingIdentity, rotate, write_state

log = logging.getLogger(__name__)


class TrainingStopped(Exception):
    """The training was asked to stop and has saved: raised to leave a library's loop."""


class NotFinite(Exception):
    """A loss, a weight or an observation is NaN or Inf.

    Args:
        what: Which, for the user.
        iteration: Where it was found; None for the current iteration.
    """

    def __init__(self, what: str, iteration: int | None = None) -> None:
        super().__init__(what)
        self.what = what
        self.iteration = iteration


class Monitor:
    """What a library's loop reports to.

    Args:
        callbacks: Called in turn.
        folder: Gets ``model_<iteration>.pt``.
        first: The iteration to begin with.
        total: Iterations to reach.
        group: The processes that train together; rank 0 alone writes checkpoints.
        started_from: Checkpoint that the training continues.
    """

    def __init__(
        self,
        callbacks: Callbacks,
        folder: Path,
        *,
        first: int,
        total: int,
        group: Group | None = None,
        started_from: Path | None = None,
    ) -> None:
        self.iteration = first
        """The iteration under way."""
        self.group = group or Group()
        self.saves = self.group.rank.first
        """Whether this process writes the checkpoints."""
        self._callbacks = callbacks
        self._folder = folder
        self.total = total
        """Iterations to reach."""
        self._started_from = started_from
        self._last_saved: tuple[Path, int] | None = None
        self._saved_iteration: int | None = None
        self._state: Callable[[], bytes] | None = None
        self._identity: Callable[[], TrainingIdentity] | None = None
        if self.saves:
            folder.mkdir(parents=True, exist_ok=True)
            for leftover in folder.glob("*.partial"):  # of a process that was killed while it saved
                leftover.unlink(missing_ok=True)

    def keep_state(self, state: Callable[[], bytes], identity: Callable[[], TrainingIdentity]) -> None:
        """Save a companion with every checkpoint.

        Args:
            state: Returns this process's state, packed.
            identity: Returns the circumstances that must be the same for the state to fit.
        """
        self._state, self._identity = state, identity

    def iteration_done(self, iteration: int, steps: int, metrics: Mapping[str, float]) -> bool:
        """Report an iteration and return whether the training should save and stop short of its total.

        Raises:
            NotFinite: A loss is NaN or Inf.
        """
        bad = [name for name, value in metrics.items() if name.startswith("Loss") and not math.isfinite(value)]
        if bad:
            raise NotFinite(", ".join(bad), iteration)
        self.iteration = iteration + 1
        self._callbacks.on_iteration(iteration, self.total, steps, metrics)
        return self._callbacks.should_stop() and self.iteration < self.total

    def offer(self, iteration: int, write: Callable[[Path], None]) -> None:
        """Let the callbacks look at the policy after an iteration that has been reported, if they do such a thing."""
        if self.saves and isinstance(self._callbacks, LooksAtPolicy):
            self._callbacks.on_policy(iteration, write)

    def save(self, iteration: int, write: Callable[[Path], None]) -> None:
        """Save under a name that no reader takes for a checkpoint, check the file, and only then give it its name.

        Every process calls it at the same iterations: the companion holds the state of each.

        Args:
            iteration: The last iteration that was done.
            write: Writes the checkpoint to the path it is given.

        Raises:
            JobFailed: The disk did not take it; the checkpoints before it stay as they are.
            NotFinite: A weight is NaN or Inf.
        """
        if self._saved_iteration == iteration:
            return  # the last iteration may also be that of an interval
        self._saved_iteration = iteration
        states = self.group.collect(self._state()) if self._state else []
        if not self.saves:
            return
        target = self._folder / f"model_{iteration}.pt"
        partial = target.with_name(target.name + ".partial")
        try:
            write(partial)
            _check_written(partial, iteration)
            # First: a checkpoint that is there has its companion, whenever this process is killed.
            self._write_companion(iteration, partial, states)
            partial.replace(target)
            sync_folder(self._folder)
        except (OSError, RuntimeError) as error:
            raise self._not_saved(target, error) from error
        finally:
            partial.unlink(missing_ok=True)
        self._last_saved = (target, iteration)
        rotate(self._folder)
        self._callbacks.on_checkpoint(target, iteration)

    def _write_companion(self, iteration: int, checkpoint: Path, states: list[bytes]) -> None:
        """Write the companion; a checkpoint without one is better than none."""
        if self._identity is None:
            return
        try:
            write_state(self._folder, iteration, self._identity(), sha256_of(checkpoint), states)
        except OSError as error:
            log.warning(
                "the companion of model_%d.pt cannot be saved (%s): a resume from it will not be exact",
                iteration,
                error.strerror,
            )

    def newest(self) -> tuple[Path, int]:
        """Return the newest complete checkpoint of this training and its iteration.

        Raises:
            JobFailed: There is none.
        """
        if not self.saves:
            return self._folder / f"model_{self.iteration - 1}.pt", self.iteration - 1
        if self._last_saved is None:
            raise JobFailed("the training ended without a checkpoint")
        return self._last_saved

    @contextlib.contextmanager
    def nan_guard(self, weights: Callable[[], Mapping[str, Any]]) -> Iterator[None]:
        """Turn NaN or Inf into an error that names the iteration and the last good checkpoint.

        Args:
            weights: Returns the learner's tensors, looked at when torch itself refuses to go on.

        Raises:
            JobFailed: Something stopped being finite.
        """
        try:
            yield
            self.group.check_same(weights())
        except NotFinite as bad:
            raise self._diverged(bad.what, bad.iteration) from bad
        except RuntimeError as error:
            # Weights that are NaN make torch refuse to draw an action, with a message that does not mention them.
            found = _not_finite(weights(), "")
            if found is None:
                raise
            raise self._diverged(f"the weights ({found})") from error

    def _diverged(self, what: str, iteration: int | None = None) -> JobFailed:
        where = self.iteration if iteration is None else iteration
        return JobFailed(f"{what} stopped being finite in iteration {where}", hint=self._last_good())

    def _not_saved(self, target: Path, error: Exception) -> JobFailed:
        if isinstance(error, OSError) and error.errno:
            reason = os.strerror(error.errno)
        else:
            # torch's own writer does not tell why a write failed.
            free = shutil.disk_usage(self._folder).free >> 20
            reason = f"the disk did not take it, {free} MiB are free ({str(error).splitlines()[0]})"
        return JobFailed(f"{target.name} cannot be saved: {reason}", source=str(self._folder), hint=self._last_good())

    def _last_good(self) -> str:
        """Say which checkpoint is the newest good one."""
        good = self._last_saved[0] if self._last_saved else self._started_from
        if good is None:
            return "there is no earlier checkpoint of this training"
        return f"the last good checkpoint is {good} (--checkpoint-mode resume)"


def _check_written(path: Path, iteration: int) -> None:
    """Check that a checkpoint is on disk, can be read, and holds finite numbers alone."""
    with path.open("rb") as stream:
        os.fsync(stream.fileno())
    bad = _not_finite(torch.load(path, map_location="cpu", weights_only=True), "")
    if bad:
        raise NotFinite(f"the weights ({bad})", iteration)


def _not_finite(value: Any, path: str) -> str | None:
    """Return the dotted path of the first tensor in nested mappings that holds NaN or Inf."""
    if isinstance(value, torch.Tensor):
        finite = not value.is_floating_point() or bool(torch.isfinite(value).all())
        return None if finite else path
    if isinstance(value, Mapping):
        found = (_not_finite(item, f"{path}.{name}".lstrip(".")) for name, item in value.items())
        return next((bad for bad in found if bad), None)
    return None
