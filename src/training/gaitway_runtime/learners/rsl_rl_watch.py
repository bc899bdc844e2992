"""Watching and stopping a rsl_rl runner of any release, without a subclass.

Hook points are chosen by what the runner offers, not by a version: rsl_rl 2 and 3 have ``runner.log`` and
``runner.writer``, later ones ``runner.logger.log`` and ``runner.logger.writer``; all have ``runner.save``.
"""

from __future__ import annotations

import contextlib
import io
import math
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ..errors import JobFailed
from .base import Hooks


class TrainingStopped(Exception):
    """The training was asked to stop, and has saved."""


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


class RunnerWatch:
    """Ties a runner to :class:`~.base.Hooks`: metrics, complete checkpoints, a clean stop.

    Args:
        runner: rsl_rl's ``OnPolicyRunner``.
        hooks: Whom to tell.
        folder: Gets ``model_<iteration>.pt``, whatever folder the runner itself logs to.
        total: Iterations to reach.
        steps: Returns the environment steps done so far.
        infos: Returns what is written under ``infos`` into a checkpoint of an iteration.
        quiet: Whether to swallow the page that the runner prints every iteration.
    """

    def __init__(
        self,
        runner: Any,
        hooks: Hooks,
        *,
        folder: Path,
        total: int,
        steps: Callable[[], int],
        infos: Callable[[int], Mapping[str, Any]],
        quiet: bool = True,
    ) -> None:
        self.last_saved: tuple[Path, int] | None = None
        """The newest complete checkpoint and its iteration."""
        self.underway = int(runner.current_learning_iteration)
        """The iteration that is being worked on."""
        self._runner = runner
        self._hooks = hooks
        self._folder = folder
        self._total = total
        self._steps = steps
        self._infos = infos
        self._quiet = quiet
        self._scalars: dict[str, float] = {}
        self._writer: Any = None
        self._logging = runner if hasattr(runner, "log") else runner.logger
        self._log, self._save = self._logging.log, runner.save
        self._logging.log, runner.save = self._on_log, self._on_save
        folder.mkdir(parents=True, exist_ok=True)

    @property
    def iteration(self) -> int:
        """The runner's own count: the iteration that was done last; before the first, the one to begin with."""
        return int(self._runner.current_learning_iteration)

    def _on_log(self, *args: Any, **kwargs: Any) -> None:
        self._tee_writer()
        self._scalars.clear()
        with contextlib.redirect_stdout(io.StringIO()) if self._quiet else contextlib.nullcontext():
            self._log(*args, **kwargs)
        metrics = dict(self._scalars)
        bad = [name for name, value in metrics.items() if name.startswith("Loss/") and not math.isfinite(value)]
        if bad:
            raise NotFinite(", ".join(bad), self.iteration)
        self.underway = self.iteration + 1
        self._hooks.on_iteration(self.iteration, self._total, self._steps(), metrics)
        if self._hooks.should_stop():
            self._runner.save(f"model_{self.iteration}.pt")
            raise TrainingStopped

    def _tee_writer(self) -> None:
        """Listen to the writer that the runner makes when it starts to learn, whichever it is."""
        writer = self._logging.writer
        if writer is None or writer is self._writer:
            return
        self._writer, original = writer, writer.add_scalar

        def add_scalar(tag: str, value: Any, *args: Any, **kwargs: Any) -> Any:
            # ".../time" repeats a metric over another axis.
            if not tag.endswith("/time"):
                self._scalars[tag] = float(value)
            return original(tag, value, *args, **kwargs)

        writer.add_scalar = add_scalar

    def _on_save(self, path: str, infos: Mapping[str, Any] | None = None) -> None:
        """Save under a name that no reader takes for a checkpoint, prove the file, and only then give it its name."""
        target = self._folder / Path(path).name
        if self.last_saved == (target, self.iteration):
            return
        partial = target.with_name(target.name + ".partial")
        try:
            self._save(str(partial), {**self._infos(self.iteration), **(infos or {})})
            complete(partial, target, self.iteration)
        except (OSError, RuntimeError) as error:
            raise self._not_saved(target, error) from error
        finally:
            partial.unlink(missing_ok=True)
        self.last_saved = (target, self.iteration)
        self._hooks.on_checkpoint(target, self.iteration)

    def _not_saved(self, target: Path, error: Exception) -> JobFailed:
        if isinstance(error, OSError) and error.errno:
            reason = os.strerror(error.errno)
        else:
            # torch's own writer does not tell why a write failed.
            free = shutil.disk_usage(self._folder).free >> 20
            reason = f"the disk did not take it, {free} MiB are free ({str(error).splitlines()[0]})"
        return JobFailed(f"{target.name} cannot be saved: {reason}", source=str(self._folder), hint=self.safe())

    def newest(self) -> tuple[Path, int]:
        """Return the newest complete checkpoint and its iteration.

        Raises:
            JobFailed: There is none.
        """
        if self.last_saved is None:
            raise JobFailed("the training ended without a checkpoint")
        return self.last_saved

    def safe(self) -> str:
        """Say which checkpoint is the newest good one, for an error."""
        if self.last_saved is None:
            return "no checkpoint of this run was complete before"
        return f"the last good checkpoint is {self.last_saved[0]} (--checkpoint-mode resume)"


def complete(partial: Path, target: Path, iteration: int) -> None:
    """Give a saved checkpoint its name, once it is proven to be on disk, readable and finite.

    Raises:
        NotFinite: A weight is not a finite number.
        OSError: The disk did not take it.
    """
    import torch

    with partial.open("rb") as stream:
        os.fsync(stream.fileno())
    bad = not_finite(torch.load(partial, map_location="cpu", weights_only=True), "")
    if bad:
        raise NotFinite(f"the weights ({bad})", iteration)
    partial.replace(target)
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def not_finite(value: Any, path: str) -> str | None:
    """Return the dotted path of the first tensor in nested mappings that holds a number that is not finite."""
    import torch

    if isinstance(value, torch.Tensor):
        finite = not value.is_floating_point() or bool(torch.isfinite(value).all())
        return None if finite else path
    if isinstance(value, Mapping):
        found = (not_finite(item, f"{path}.{name}".lstrip(".")) for name, item in value.items())
        return next((bad for bad in found if bad), None)
    return None
