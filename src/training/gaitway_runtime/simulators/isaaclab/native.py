"""An Isaac Lab environment as a learning library wants it: Isaac Lab's own wrapper, the task's own settings."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ...errors import ConfigError
from ..base import Native

ENTRY_POINTS: Mapping[str, str] = {"rsl_rl": "rsl_rl_cfg_entry_point", "skrl": "skrl_cfg_entry_point"}
"""Where a task's registration names its settings for a learning library."""


@dataclass(frozen=True, kw_only=True)
class Agent:
    """A task's settings for a learning library, overrides applied."""

    library: str
    config: Any
    """rsl_rl: Isaac Lab's configuration object. skrl: a dictionary."""


def settle(config: Any, agent: Agent | None, *, num_envs: int, seed: int, device: str) -> None:
    """Write what the job decides into a task's configuration and its learner's: Isaac Lab has each of these twice."""
    config.scene.num_envs, config.seed, config.sim.device = num_envs, seed, device
    if agent is None:
        return
    if isinstance(agent.config, dict):
        agent.config["seed"] = seed
    else:
        agent.config.seed, agent.config.device = seed, device


def native(env: Any, library: str, agent: Agent | None) -> Native:
    """Wrap an environment for a learning library.

    Args:
        env: What ``gymnasium.make`` returned.
        library: ``rsl_rl`` or ``skrl``.
        agent: The task's settings.

    Raises:
        ConfigError: There are none for that library.
    """
    if agent is None or agent.library != library:
        raise ConfigError(f"the task was not opened for training with {library}", source="--backend")
    return _WRAPPERS[library](env, agent.config)


def check_entry_point(task: str, library: str, registered: Mapping[str, Any]) -> str:
    """Return the name of a task's settings for a library.

    Args:
        task: The task's registered name.
        library: Learning library.
        registered: Keyword arguments of its registration.

    Raises:
        ConfigError: It has none; the error names the libraries it has some for.
    """
    if ENTRY_POINTS[library] in registered:
        return ENTRY_POINTS[library]
    others = [name for name, point in ENTRY_POINTS.items() if point in registered]
    raise ConfigError(
        f"task '{task}' has no settings for {library}",
        source="--backend",
        allowed=", ".join(others) or "none of gaitway's learners",
        hint=f"--backend {others[0]}" if others else None,
    )


def _rsl_rl(env: Any, config: Any) -> Native:
    import importlib.metadata

    from isaaclab_rl import rsl_rl as lab

    device = str(env.unwrapped.device)
    upgrade = getattr(lab, "handle_deprecated_rsl_rl_cfg", None)  # releases that know several rsl_rl have it
    if upgrade is not None:
        config = upgrade(config, importlib.metadata.version("rsl-rl-lib"))
    wrapped = lab.RslRlVecEnvWrapper(env, clip_actions=getattr(config, "clip_actions", None))
    return Native(
        env=wrapped,
        config=config.to_dict(),
        task_config=env.unwrapped.cfg.to_dict(),
        device=device,
        max_iterations=int(config.max_iterations),
        save_interval=int(config.save_interval),
    )


def _skrl(env: Any, config: dict[str, Any]) -> Native:
    from ...learners.skrl_ranks import tell_of_group

    tell_of_group()
    from isaaclab_rl.skrl import SkrlVecEnvWrapper

    rollouts = int(config["agent"]["rollouts"])
    iterations = max(1, math.ceil(int(config["trainer"]["timesteps"]) / rollouts))
    interval = config["agent"].get("experiment", {}).get("checkpoint_interval", "auto")
    # skrl's "auto" is a tenth of the training; it counts control steps.
    saves = iterations / 10 if interval == "auto" else int(interval) / rollouts
    return Native(
        env=SkrlVecEnvWrapper(env, ml_framework="torch"),
        config=config,
        task_config=env.unwrapped.cfg.to_dict(),
        device=str(env.unwrapped.device),
        max_iterations=iterations,
        save_interval=max(1, round(saves)),
    )


_WRAPPERS: Mapping[str, Callable[[Any, Any], Native]] = {"rsl_rl": _rsl_rl, "skrl": _skrl}
