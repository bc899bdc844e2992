"""A task's own settings for a learning library, and its environment in that library's wrapper."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ...spec.errors import ConfigError
from ...spec.learners import LEARNERS
from ..base import Native

ENTRY_POINT = "{}_cfg_entry_point"
"""Where a task's registration names its settings for a learning library, by the library's name."""


@dataclass(frozen=True, kw_only=True)
class Agent:
    """A task's settings for a learning library, overrides applied."""

    library: str
    config: Any
    """rsl_rl: Isaac Lab's configuration object. skrl: a dictionary."""


def apply_settings(config: Any, agent: Agent | None, *, num_envs: int, seed: int, device: str) -> None:
    """Write what the job decides into a task's configuration and its learner's: Isaac Lab has each of these twice."""
    config.scene.num_envs, config.seed, config.sim.device = num_envs, seed, device
    if agent is None:
        return
    if isinstance(agent.config, dict):
        agent.config["seed"] = seed
    else:
        agent.config.seed, agent.config.device = seed, device


def native(env: Any, library: str, agent: Agent | None, wrap: Callable[[Any, Any], Native]) -> Native:
    """Wrap an environment for a learning library.

    Args:
        env: What ``gymnasium.make`` returned.
        library: Learning library.
        agent: The task's settings.
        wrap: The learner's wrapper of an environment with its settings.

    Raises:
        ConfigError: There are none for that library.
    """
    if agent is None or agent.library != library:
        raise ConfigError(f"the task was not opened for training with {library}", source="--backend")
    return wrap(env, agent.config)


def entry_point_for_groups(library: str, registered: Mapping[str, Any]) -> str | None:
    """Return the name of the settings that tell which observation groups a policy reads: a library's, else any other's.

    Args:
        library: Learning library that is preferred.
        registered: Keyword arguments of the task's registration.
    """
    points = [ENTRY_POINT.format(name) for name in (library, *LEARNERS)]
    return next((point for point in points if point in registered), None)


def check_entry_point(task: str, library: str, registered: Mapping[str, Any]) -> str:
    """Return the name of a task's settings for a library.

    Args:
        task: The task's registered name.
        library: Learning library.
        registered: Keyword arguments of its registration.

    Raises:
        ConfigError: It has none; the error names the libraries it has some for.
    """
    entry = ENTRY_POINT.format(library)
    if entry in registered:
        return entry
    others = [name for name in LEARNERS if ENTRY_POINT.format(name) in registered]
    raise ConfigError(
        f"task '{task}' has no settings for {library}",
        source="--backend",
        allowed=", ".join(others) or "none of gaitway's learners",
        hint=f"--backend {others[0]}" if others else None,
    )
