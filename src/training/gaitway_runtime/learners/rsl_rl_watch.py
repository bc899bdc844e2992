"""Listening to a rsl_rl runner of any release, without a subclass.

Hook points are chosen by what the runner offers, not by a version: rsl_rl 2 and 3 have ``runner.log`` and
``runner.writer``, later ones ``runner.logger.log`` and ``runner.logger.writer``; all have ``runner.save`` and count
in ``runner.current_learning_iteration``.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from .watch import TrainingStopped, Watch


def attach(
    runner: Any,
    watch: Watch,
    *,
    steps: Callable[[], int],
    infos: Callable[[int], Mapping[str, Any]],
    quiet: bool = True,
) -> None:
    """Tie a runner to a watch: it tells of every iteration, saves where the watch says, and stops when asked.

    A stop leaves ``runner.learn`` by :class:`.watch.TrainingStopped`.

    Args:
        runner: rsl_rl's ``OnPolicyRunner``.
        watch: What to tell.
        steps: Returns the environment steps done so far.
        infos: Returns what is written under ``infos`` into a checkpoint of an iteration.
        quiet: Whether to swallow the page that the runner prints every iteration.
    """
    if not watch.keeps:
        _follow(runner, watch, steps)
        return
    logging = runner if hasattr(runner, "log") else runner.logger
    log, save = logging.log, runner.save
    scalars: dict[str, float] = {}

    def on_log(*args: Any, **kwargs: Any) -> None:
        _listen(logging.writer, scalars)
        scalars.clear()
        with contextlib.redirect_stdout(io.StringIO()) if quiet else contextlib.nullcontext():
            log(*args, **kwargs)
        if watch.iteration_done(runner.current_learning_iteration, steps(), dict(scalars)):
            runner.save(f"model_{runner.current_learning_iteration}.pt")
            raise TrainingStopped

    def on_save(path: str, own_infos: Mapping[str, Any] | None = None) -> None:
        iteration = runner.current_learning_iteration
        everything = {**(own_infos or {}), **infos(iteration)}

        def write(partial: Path) -> None:
            save(str(partial), everything)

        watch.save(iteration, write)

    logging.log, runner.save = on_log, on_save


def _follow(runner: Any, watch: Watch, steps: Callable[[], int]) -> None:
    """Tie the runner of a process that neither logs nor saves to a watch: all stop at the same iteration."""
    update = runner.alg.update

    def on_update(*args: Any, **kwargs: Any) -> Any:
        losses = update(*args, **kwargs)
        if watch.iteration_done(watch.underway, steps(), {}):
            raise TrainingStopped
        return losses

    runner.alg.update = on_update


def _listen(writer: Any, scalars: dict[str, float]) -> None:
    """Note every scalar on its way to the writer that the runner made when it began to learn, whichever it is."""
    if writer is None or getattr(writer, "gaitway_listens", False):
        return
    add_scalar = writer.add_scalar

    def note(tag: str, value: Any, *args: Any, **kwargs: Any) -> Any:
        # ".../time" repeats a metric over another axis.
        if not tag.endswith("/time"):
            scalars[tag] = float(value)
        return add_scalar(tag, value, *args, **kwargs)

    writer.add_scalar, writer.gaitway_listens = note, True
