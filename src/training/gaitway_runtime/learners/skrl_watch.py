"""Listening to a skrl agent, without a subclass: hook points are methods that skrl 1.4 and 2.x both have."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import fmean
from typing import Any

from .watch import TrainingStopped, Watch


def attach(
    agent: Any,
    watch: Watch,
    *,
    rollouts: int,
    first: int,
    last: int,
    save_interval: int,
    steps: Callable[[], int],
    metrics: Callable[[], Mapping[str, float]],
    marks: Callable[[int], Mapping[str, Any]],
) -> None:
    """Tie an agent to a watch: it tells of every iteration, saves at intervals and at the end, and stops when asked.

    skrl's own checkpoints (``agent_<timestep>.pt``) are left off: their counter starts anew on every resume.

    Args:
        agent: skrl's agent; its own writing intervals should be off.
        watch: What to tell.
        rollouts: Control steps of an iteration.
        first: The iteration to begin with.
        last: The iteration to end with.
        save_interval: Iterations between checkpoints.
        steps: Returns the environment steps done so far.
        metrics: Returns what is known beside skrl's own tracking data.
        marks: Returns what is written into a checkpoint of an iteration beside the agent's modules.
    """
    post_interaction = agent.post_interaction

    def on_post_interaction(*, timestep: int, timesteps: int) -> None:
        post_interaction(timestep=timestep, timesteps=timesteps)
        if (timestep + 1) % rollouts:
            return
        iteration = first + timestep // rollouts
        tracked = {tag: fmean(values) for tag, values in agent.tracking_data.items() if len(values)}
        agent.tracking_data.clear()
        stop = watch.iteration_done(iteration, steps(), {**tracked, **metrics()})
        if stop or iteration == last or iteration % save_interval == 0:
            watch.save(iteration, lambda partial: _save(agent, partial, marks(iteration)))
        if stop:
            raise TrainingStopped

    agent.post_interaction = on_post_interaction


def _save(agent: Any, path: Path, marks: Mapping[str, Any]) -> None:
    """Let the agent save itself with the marks as further entries of the file."""
    modules = agent.checkpoint_modules
    try:
        agent.checkpoint_modules = {**modules, **marks}
        agent.save(str(path))
    finally:
        agent.checkpoint_modules = modules
