"""What every learner's loop owes its hooks: metrics, complete checkpoints, a clean stop, an end where numbers end.

The libraries differ in where one can listen (``rsl_rl_watch.py``, ``skrl_watch.py``); what is done there is here.
"""

from __future__ import annotations

import contextlib
import math
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from .. import ranks, team
from ..errors import JobFailed
from .base import Hooks


class TrainingStopped(Exception):
    """The training was asked to stop, and has saved: how a library's loop is left."""


class NotFinite(Exception):
    """A loss, a weight or an observation is not a finite number.

    Args:
        what: Which, for the user.
        iteration: Where it showed; None for the iteration under way.
    """

    def __init__(self, what: str, iteration: int | None = None) -> None:
        super().__init__(what)
        self.what = what
        self.iteration = iteration


class Watch:
    """One training, as its hooks see it.

    Args:
        hooks: Whom to tell.
        folder: Gets ``model_<iteration>.pt``.
        first: The iteration to begin with.
        total: Iterations to reach.
        started_from: Checkpoint that the training continues.
    """

    def __init__(self, hooks: Hooks, folder: Path, *, first: int, total: int, started_from: Path | None = None) -> None:
        self.underway = first
        """The iteration that is being worked on."""
        self._hooks = hooks
        self._folder = folder
        self._total = total
        self._started_from = started_from
        self._last_saved: tuple[Path, int] | None = None
        self.keeps = ranks.current().first
        """Whether this process writes the checkpoints: the first of those that train together."""
        if self.keeps:
            folder.mkdir(parents=True, exist_ok=True)

    def iteration_done(self, iteration: int, steps: int, metrics: Mapping[str, float]) -> bool:
        """Tell of an iteration and return whether the training should save and stop short of its total.

        Raises:
            NotFinite: A loss is not a finite number.
        """
        bad = [name for name, value in metrics.items() if name.startswith("Loss") and not math.isfinite(value)]
        if bad:
            raise NotFinite(", ".join(bad), iteration)
        self.underway = iteration + 1
        self._hooks.on_iteration(iteration, self._total, steps, metrics)
        return self._hooks.should_stop() and self.underway < self._total

    def save(self, iteration: int, write: Callable[[Path], None]) -> None:
        """Save under a name that no reader takes for a checkpoint, prove the file, and only then give it its name.

        Args:
            iteration: The iteration that was done last.
            write: Writes the checkpoint to the path it is given.

        Raises:
            JobFailed: The disk did not take it; the checkpoints before it stay as they are.
            NotFinite: A weight is not a finite number.
        """
        target = self._folder / f"model_{iteration}.pt"
        if self._last_saved == (target, iteration):
            return  # the last iteration may also be that of an interval
        if not self.keeps:
            return
        partial = target.with_name(target.name + ".partial")
        try:
            write(partial)
            _prove(partial, iteration)
            _rename(partial, target)
        except (OSError, RuntimeError) as error:
            raise self._not_saved(target, error) from error
        finally:
            partial.unlink(missing_ok=True)
        self._last_saved = (target, iteration)
        self._hooks.on_checkpoint(target, iteration)

    def newest(self) -> tuple[Path, int]:
        """Return the newest complete checkpoint of this training and its iteration.

        Raises:
            JobFailed: There is none.
        """
        if not self.keeps:
            return self._folder / f"model_{self.underway - 1}.pt", self.underway - 1
        if self._last_saved is None:
            raise JobFailed("the training ended without a checkpoint")
        return self._last_saved

    @contextlib.contextmanager
    def ends_with_its_numbers(self, weights: Callable[[], Mapping[str, Any]]) -> Iterator[None]:
        """Turn numbers that are not finite into an error that names the iteration and the last good checkpoint.

        Args:
            weights: Returns the learner's tensors, looked at when torch itself refuses to go on.

        Raises:
            JobFailed: Something stopped being finite.
        """
        try:
            yield
            team.check_same(weights())
        except NotFinite as bad:
            raise self._diverged(bad.what, bad.iteration) from bad
        except RuntimeError as error:
            # Weights that are no numbers make torch refuse to draw an action, in words that say nothing of them.
            found = _not_finite(weights(), "")
            if found is None:
                raise
            raise self._diverged(f"the weights ({found})") from error

    def _diverged(self, what: str, iteration: int | None = None) -> JobFailed:
        where = self.underway if iteration is None else iteration
        return JobFailed(f"{what} stopped being finite in iteration {where}", hint=self._safe())

    def _not_saved(self, target: Path, error: Exception) -> JobFailed:
        if isinstance(error, OSError) and error.errno:
            reason = os.strerror(error.errno)
        else:
            # torch's own writer does not tell why a write failed.
            free = shutil.disk_usage(self._folder).free >> 20
            reason = f"the disk did not take it, {free} MiB are free ({str(error).splitlines()[0]})"
        return JobFailed(f"{target.name} cannot be saved: {reason}", source=str(self._folder), hint=self._safe())

    def _safe(self) -> str:
        """Say which checkpoint is the newest good one."""
        good = self._last_saved[0] if self._last_saved else self._started_from
        if good is None:
            return "there is no earlier checkpoint of this training"
        return f"the last good checkpoint is {good} (--checkpoint-mode resume)"


def _prove(path: Path, iteration: int) -> None:
    """Check that a checkpoint is on disk, can be read, and holds finite numbers alone."""
    import torch

    with path.open("rb") as stream:
        os.fsync(stream.fileno())
    bad = _not_finite(torch.load(path, map_location="cpu", weights_only=True), "")
    if bad:
        raise NotFinite(f"the weights ({bad})", iteration)


def _rename(partial: Path, target: Path) -> None:
    partial.replace(target)
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _not_finite(value: Any, path: str) -> str | None:
    """Return the dotted path of the first tensor in nested mappings that holds a number that is not finite."""
    import torch

    if isinstance(value, torch.Tensor):
        finite = not value.is_floating_point() or bool(torch.isfinite(value).all())
        return None if finite else path
    if isinstance(value, Mapping):
        found = (_not_finite(item, f"{path}.{name}".lstrip(".")) for name, item in value.items())
        return next((bad for bad in found if bad), None)
    return None
