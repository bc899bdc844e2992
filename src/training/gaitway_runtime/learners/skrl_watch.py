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
    metrics: Callable[[Mapping[str, float]], Mapping[str, float]],
    marks: Callable[[int], Mapping[str, Any]],
) -> None:
    """Tie an agent to a watch: it tells of every iteration, saves at intervals and at the end, and stops when asked.

    skrl counts from zero whenever it starts; here a training that goes on keeps its count. skrl's own checkpoints
    (``agent_<timestep>.pt``) are left off; what it writes for TensorBoard once an iteration stays as it is.

    Args:
        agent: skrl's agent; its own interval of checkpoints should be off.
        watch: What to tell.
        rollouts: Control steps of an iteration.
        first: The iteration to begin with.
        last: The iteration to end with.
        save_interval: Iterations between checkpoints.
        steps: Returns the environment steps done so far.
        metrics: Returns what is known beside skrl's own tracking data, given that.
        marks: Returns what is written into a checkpoint of an iteration beside the agent's modules.
    """
    post_interaction, write_tracking_data = agent.post_interaction, agent.write_tracking_data
    tracked: dict[str, float] = {}

    # skrl 1.4 passes these by position, 2.x by name.
    def on_write(timestep: int, timesteps: int) -> None:
        tracked.update(_summaries(agent))
        write_tracking_data(timestep=timestep, timesteps=timesteps)

    def on_post_interaction(timestep: int, timesteps: int) -> None:
        done = first * rollouts
        tracked.clear()
        post_interaction(timestep=done + timestep, timesteps=done + timesteps)
        if (timestep + 1) % rollouts:
            return
        iteration = first + timestep // rollouts
        tracked.update(_summaries(agent))
        agent.tracking_data.clear()
        stop = watch.iteration_done(iteration, steps(), {**tracked, **metrics(tracked)})
        if stop or iteration == last or iteration % save_interval == 0:
            watch.save(iteration, lambda partial: _save(agent, partial, marks(iteration)))
        if stop:
            raise TrainingStopped

    agent.post_interaction, agent.write_tracking_data = on_post_interaction, on_write


def _summaries(agent: Any) -> dict[str, float]:
    """Return what the agent has tracked since it was last written, as skrl itself sums it up."""
    extremes = {"(min)": min, "(max)": max}
    return {
        tag: float(extremes.get(tag[-5:], fmean)(values)) for tag, values in agent.tracking_data.items() if len(values)
    }


def _save(agent: Any, path: Path, marks: Mapping[str, Any]) -> None:
    """Let the agent save itself with the marks as further entries of the file."""
    modules = agent.checkpoint_modules
    try:
        agent.checkpoint_modules = {**modules, **marks}
        agent.save(str(path))
    finally:
        agent.checkpoint_modules = modules
