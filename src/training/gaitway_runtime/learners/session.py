"""The frame of a training, the same for every learner: where it begins, what it counts, what it comes to."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..job import TrainJob
from .base import Hooks, Outcome, Start
from .checkpoints import SavedTraining, already_reached, read_start
from .reproducible import seed_everything
from .watch import TrainingStopped, Watch

if TYPE_CHECKING:
    from ..simulators.base import Env


@dataclass(frozen=True, kw_only=True)
class Session:
    """One training, ready to begin."""

    job: TrainJob
    env: Env
    watch: Watch
    saved: SavedTraining | None
    """Checkpoint to load first."""
    resumed: bool
    """Whether to load everything in it, or only the weights and normalisers."""
    first: int
    """The iteration to begin with, counted from zero."""
    total: int
    """Iterations to reach."""


def conduct(
    job: TrainJob,
    env: Env,
    start: Start,
    output_dir: Path,
    hooks: Hooks,
    *,
    steps_per_iteration: int,
    learn: Callable[[Session], None],
    threads: int | None = None,
) -> Outcome:
    """Train from where ``start`` says to where the job says.

    Args:
        job: The job, with ``max_iterations`` filled in.
        env: Training environment; its step count is set to where the training stands.
        start: What to load first.
        output_dir: Gets the checkpoints.
        hooks: Whom to tell.
        steps_per_iteration: Environment steps of one iteration.
        learn: The library's part: load, attach the watch, run the loop. Leaves it by
            :class:`.watch.TrainingStopped` when asked to stop.
        threads: Most threads for the networks; torch's own choice when omitted.
    """
    total = job.max_iterations or 1
    saved = read_start(start.checkpoint) if start.checkpoint else None
    resumed = saved if start.mode == "resume" else None
    first = resumed.next_iteration if resumed else 0
    if resumed and first >= total:
        return already_reached(resumed, output_dir)
    seed_everything(job.seed + first, threads)
    before = resumed.env_steps if resumed else 0
    env.env_steps = before = first * steps_per_iteration if before is None else before
    watch = Watch(hooks, output_dir / "checkpoints", first=first, total=total, started_from=start.checkpoint)
    began, stopped = time.monotonic(), False
    try:
        learn(
            Session(job=job, env=env, watch=watch, saved=saved, resumed=resumed is not None, first=first, total=total)
        )
    except TrainingStopped:
        stopped = True
    path, iteration = watch.newest()
    return Outcome(
        iterations=iteration + 1,
        steps=env.env_steps - before,
        seconds=time.monotonic() - began,
        final_checkpoint=path,
        final_iteration=iteration,
        stopped=stopped,
    )
