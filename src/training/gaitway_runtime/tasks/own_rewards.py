"""Reward terms that a user's module adds to tasks of the embedded simulator: one line each.

add_reward("Isaac-Velocity-Flat-Anymal-C-v0", Reward("high", partial(base_height, target=0.6), -1.0))
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..spec import catalog
from ..spec.errors import UsageError

if TYPE_CHECKING:
    from .environment import Reward

ADDED: dict[str, tuple[Reward, ...]] = {}
"""Terms by the task's own name."""


def add_reward(task: str, reward: Reward) -> None:
    """Add a reward term to a task. It is learned from and reported as the task's own terms are.

    Args:
        task: Any name of a task of the embedded simulator.
        reward: The term; its function takes the :class:`~gaitway_runtime.tasks.state.State` of N worlds and returns
            (N,).

    Raises:
        UsageError: There is no such task, or it has a term of that name.
    """
    source = f"add_reward({task!r}, Reward({reward.name!r}, ...))"
    name = catalog.embedded(task, source).name
    from .environment import find_environment  # it reads what is added here

    if reward.name in [term.name for term in find_environment(name).rewards]:
        raise UsageError(f"task '{name}' has a reward term '{reward.name}' already", source=source)
    ADDED[name] = (*ADDED.get(name, ()), reward)


def added_rewards(task: str) -> tuple[Reward, ...]:
    """Return the terms that were added to a task, by any of its names."""
    return ADDED.get(catalog.canonical(task), ())
