"""Monitoring a skrl agent, without a subclass: the methods replaced are those that skrl 1.4 and 2.x both have."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray

from ...distributed.group import Rank, hidden_group
from ...simulators.base import StateTree
from ..checkpoints import SavedTraining, misfit
from ..monitor import Monitor, TrainingStopped
from ..state import array_of, subtree

OPTIMIZER = "optimizer"
"""Entry of a checkpoint that holds the optimiser."""


def attach(
    agent: Any,
    monitor: Monitor,
    *,
    rollouts: int,
    first: int,
    last: int,
    save_interval: int,
    steps: Callable[[], int],
    metrics: Callable[[Mapping[str, float]], Mapping[str, float]],
    marks: Callable[[int], Mapping[str, object]],
) -> None:
    """Attach a monitor: the agent reports every iteration, saves at intervals and at the end, and stops when asked.

    skrl counts from zero whenever it starts; here a resumed training keeps its count. skrl's own checkpoints
    (``agent_<timestep>.pt``) are switched off; what it writes for TensorBoard once an iteration stays as it is.

    Args:
        agent: skrl's agent; its own interval of checkpoints should be off.
        monitor: Gets iterations and checkpoints.
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
        stop = monitor.iteration_done(iteration, steps(), {**tracked, **metrics(tracked)})
        if stop or iteration == last or iteration % save_interval == 0:
            monitor.save(iteration, lambda partial: _save(agent, partial, marks(iteration)))
        if stop:
            raise TrainingStopped
        monitor.offer(iteration, lambda partial: _save(agent, partial, marks(iteration)))

    agent.post_interaction, agent.write_tracking_data = on_post_interaction, on_write


def _summaries(agent: Any) -> dict[str, float]:
    """Return what the agent has tracked since it was last written, summarised as skrl does."""
    extremes = {"(min)": min, "(max)": max}
    return {
        tag: float(extremes.get(tag[-5:], fmean)(values)) for tag, values in agent.tracking_data.items() if len(values)
    }


def _save(agent: Any, path: Path, marks: Mapping[str, object]) -> None:
    """Let the agent save itself with the marks as further entries of the file."""
    modules = agent.checkpoint_modules
    try:
        agent.checkpoint_modules = {**modules, **marks}
        agent.save(str(path))
    finally:
        agent.checkpoint_modules = modules


def configure_group(rank: Rank) -> None:
    """Import skrl, if nobody has, and set the other processes in its configuration; before any of it is used."""
    if not rank.several:
        return
    with hidden_group():
        from skrl import config
    known = config.torch
    known._local_rank, known._rank, known._world_size = rank.local, rank.number, rank.world
    known._is_distributed = True


@dataclass(frozen=True)
class AgentState:
    """What an agent and its environment hold beside a checkpoint; see :class:`~...simulators.base.Stateful`."""

    agent: Any
    env: Any
    """skrl's wrapper: the embedded simulator's, or skrl's own of Isaac Lab."""

    def training_state(self) -> StateTree:
        """Return the place in the memory, the scalers of this process, and the environment's observations."""
        memory = self.agent.memory
        scalers = {
            name: {key: value.cpu().numpy().copy() for key, value in module.state_dict().items()}
            for name, module in self.agent.checkpoint_modules.items()
            if name.endswith("_preprocessor")
        }
        return {
            "memory": {name: getattr(memory, name) for name in _MEMORY},
            # skrl does not share them among processes, and a checkpoint has those of rank 0.
            "scalers": scalers,
            "tracked": {name: list(getattr(self.agent, name, ())) for name in _TRACKED},
            "episodes": {name: _array_of(getattr(self.agent, name, None)) for name in _EPISODES},
            "env": self.env.training_state() if hasattr(self.env, "training_state") else self._wrapper_state(),
        }

    def load_training_state(self, state: StateTree) -> None:
        """Restore :meth:`training_state`."""
        for name, value in subtree(state, "memory").items():
            setattr(self.agent.memory, name, value)
        for name, buffers in subtree(state, "scalers").items():
            found = {key: torch.from_numpy(np.array(value)) for key, value in cast(StateTree, buffers).items()}
            self.agent.checkpoint_modules[name].load_state_dict(found)
        for name, values in subtree(state, "tracked").items():
            getattr(self.agent, name).extend(values)
        for name in _EPISODES:
            sums = array_of(subtree(state, "episodes"), name)
            if sums.size:
                setattr(self.agent, name, torch.from_numpy(sums.copy()).to(self.agent.device))
        if hasattr(self.env, "load_training_state"):
            self.env.load_training_state(subtree(state, "env"))
        else:
            self._load_wrapper_state(subtree(state, "env"))

    def _wrapper_state(self) -> StateTree:
        """Return what skrl's wrapper of Isaac Lab returns when it is reset again."""
        return {name: _array_of(getattr(self.env, name, None)) for name in _WRAPPER}

    def _load_wrapper_state(self, state: StateTree) -> None:
        self.env.reset()  # it resets the environment once, and must have done so
        for name in _WRAPPER:
            values = array_of(state, name)
            if values.size:
                setattr(self.env, name, torch.from_numpy(values.copy()).to(self.agent.device))


_WRAPPER = ("_observations", "_states")
_MEMORY = ("memory_index", "env_index", "filled")
_TRACKED = ("_track_rewards", "_track_timesteps")
_EPISODES = ("_cumulative_rewards", "_cumulative_timesteps")
"""Attributes of skrl's wrapper, memory and agent."""


def _array_of(values: Any) -> NDArray[Any]:
    return np.zeros(0) if values is None else cast("NDArray[Any]", values.cpu().numpy().copy())


def load_into(agent: Any, saved: SavedTraining, *, everything: bool) -> None:
    """Load networks and scalers; with ``everything`` the optimiser, which has the learning rate, too.

    Raises:
        UsageError: The file's tensors are not those of this agent's networks.
    """
    try:
        for name, module in agent.checkpoint_modules.items():
            if name in saved.content and (everything or name != OPTIMIZER):
                module.load_state_dict(saved.content[name])
    except (RuntimeError, ValueError, KeyError) as error:
        raise misfit(saved, error) from None
