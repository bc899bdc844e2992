"""Isaac Lab 3: configuration first, then the simulator that it needs, then the environment.

The order is Isaac Lab's own: registering the tasks is cheap, resolving a configuration starts nothing,
``launch_simulation`` starts Isaac Sim only where the configuration needs it, and everything heavy is imported after.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from ...spec.errors import ConfigError, UsageError
from ..base import import_task_modules
from .application import APPLICATION
from .device import choose_device
from .naming import known_name, registered_name, wants_play
from .native import Agent, apply_settings, check_entry_point, entry_point_for_groups
from .overriding import check_overrides, of_sections
from .preflight import check_assets

if TYPE_CHECKING:
    from ...spec.job import Job
    from ..base import Env
    from .detect import Installation

log = logging.getLogger(__name__)

KITLESS_PHYSICS = "newton_mjwarp"
"""Physics that needs no Isaac Sim, by Isaac Lab's name of it."""


def open_env(job: Job, installation: Installation, *, num_envs: int, training: bool, seed: int) -> Env:
    """See :class:`gaitway_runtime.simulators.isaaclab.Generation`."""
    import gymnasium
    import isaaclab_tasks  # noqa: F401 - registers the tasks

    import_task_modules(job.imports)
    name = registered_name(job.task, gymnasium.registry, release=installation.release, imports=job.imports)
    config, agent = _configure(job, name, installation, training=training)
    named = any(text.startswith("env.sim.device=") for text in job.overrides)
    device = config.sim.device if named else choose_device(needs_gpu=_gpu_only(config))
    check_assets(config)
    apply_settings(config, agent, num_envs=num_envs, seed=seed, device=device)
    APPLICATION.start(lambda: _launch(config, device), _end)

    from .env import IsaacLabEnv

    made = APPLICATION.put(lambda: gymnasium.make(name, cfg=config))
    return IsaacLabEnv(made, task=known_name(job.task), release=installation.release, agent=agent)


def _configure(job: Job, name: str, installation: Installation, *, training: bool) -> tuple[Any, Agent | None]:
    """Return the environment's configuration, and the learner's where the task has one."""
    import gymnasium

    registered = gymnasium.registry[name].kwargs
    if training:
        entry: str | None = check_entry_point(name, job.backend, registered)
    else:
        entry = entry_point_for_groups(job.backend, registered)
    play = wants_play(job.task) or not training
    config, agent = _resolve(name, entry, play=play, overrides=[])
    sections = {"env": config, **({"agent": agent} if training else {})}
    check_overrides(job.overrides, sections)
    overrides = of_sections(job.overrides, sections)
    if (
        not installation.kit
        and _needs_kit(config)
        and not any(text.startswith("env.sim.physics") for text in overrides)
    ):
        log.info("Isaac Sim is not installed: physics is %s", KITLESS_PHYSICS)
        overrides.append(f"physics={KITLESS_PHYSICS}")
    if overrides:
        config, agent = _resolve(name, entry, play=play, overrides=overrides)
    if not installation.kit and _needs_kit(config):
        raise ConfigError(
            f"task '{name}' needs Isaac Sim, which is not installed here",
            source="--task",
            hint="run it in a container with Isaac Sim (--on osmo, --on azureml)",
        )
    return config, Agent(library=job.backend, config=agent) if entry else None


def _resolve(name: str, entry: str | None, *, play: bool, overrides: list[str]) -> tuple[Any, Any]:
    """Let Isaac Lab compose its configurations.

    Raises:
        UsageError: It refuses an override: a physics that the task does not have, for example.
    """
    from isaaclab_tasks.utils import resolve_task_config

    try:
        config, agent = resolve_task_config(name, entry, play_mode=play, overrides=overrides)
    except (ValueError, TypeError, KeyError) as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise UsageError(
            f"Isaac Lab does not take this configuration of task '{name}': {reason}",
            source=f"--set {' --set '.join(overrides)}" if overrides else "--task",
        ) from error
    return config, agent


def _needs_kit(config: Any) -> bool:
    from isaaclab.app import validate_launch

    _, sources = validate_launch(config, {})
    return bool(sources)


def _gpu_only(config: Any) -> str:
    """Return why a configuration cannot do without a GPU; empty where it can."""
    physics = type(config.sim.physics).__name__
    return "" if physics == "NewtonCfg" else f"physics {physics} needs one"


def _launch(config: Any, device: str) -> Any:
    from isaaclab.app import launch_simulation

    running = launch_simulation(config, {"device": device})
    running.__enter__()
    return running


def _end(running: Any, exit_code: int) -> None:
    """Leave ``launch_simulation``; where that ends the process, it ends with the job's exit code."""
    running.__exit__(SystemExit, SystemExit(exit_code), None)
