"""Isaac Lab 2.2 and 2.3: the application first, then everything else.

Isaac Sim has to be started before torch or anything of Isaac Lab is imported, and its launcher takes over signals,
standard output for a while, and the command line; ours come back afterwards.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

from ...distributed import group as ranks
from ...process import lifecycle
from ..base import import_task_modules
from .application import APPLICATION
from .device import choose_device
from .naming import CONFIGURATION, PLAY, known_name, registered_name, wants_play
from .native import Agent, apply_settings, check_entry_point, entry_point_for_groups
from .overriding import apply_overrides, check_overrides, of_sections
from .preflight import check_assets

if TYPE_CHECKING:
    from ...spec.job import Job
    from ..base import Env
    from .detect import Installation

ASSET_ROOT = "ISAACSIM_ASSET_ROOT"
"""Environment variable of 3.0 for a folder or server with the assets; here it is handed on as Kit's own setting."""


def open_env(job: Job, installation: Installation, *, num_envs: int, training: bool, seed: int) -> Env:
    """See :class:`gaitway_runtime.simulators.isaaclab.Generation`."""
    start()

    import gymnasium
    import isaaclab_tasks  # noqa: F401 - registers the tasks

    import_task_modules(job.imports)
    name = registered_name(job.task, gymnasium.registry, release=installation.release, imports=job.imports)
    if not training and not wants_play(name):
        name = _play_variant(name, gymnasium.registry)
    config, agent = _configure(job, name, training=training)
    device = choose_device(needs_gpu="PhysX on Isaac Sim needs one")
    apply_settings(config, agent, num_envs=num_envs, seed=seed, device=device)
    check_assets(config)

    from .env import IsaacLabEnv

    made = APPLICATION.put(lambda: gymnasium.make(name, cfg=config))
    # At its end the simulation would wait for ever, drawing, for somebody to press "play" again.
    made.unwrapped.sim._disable_app_control_on_stop_handle = True
    lifecycle.retake_signals()
    return IsaacLabEnv(made, task=known_name(job.task), release=installation.release, agent=agent)


def start() -> None:
    """Start Isaac Sim if it does not run yet; nobody has imported torch or Isaac Lab before."""
    APPLICATION.start(_launch, _end)


def _play_variant(name: str, registered: Any) -> str:
    """Return a task's evaluation form; the task itself where it has none."""
    stem, dash, version = name.rpartition("-v")
    variant = f"{stem}{PLAY}{dash}{version}"
    return variant if variant in registered else name


def _configure(job: Job, name: str, *, training: bool) -> tuple[Any, Agent | None]:
    """Return the environment's configuration, and the learner's where the task has one."""
    import gymnasium
    from isaaclab_tasks.utils import load_cfg_from_registry

    registered = gymnasium.registry[name].kwargs
    if training:
        entry: str | None = check_entry_point(name, job.backend, registered)
    else:
        entry = entry_point_for_groups(job.backend, registered)
    config = load_cfg_from_registry(name, CONFIGURATION)
    agent = load_cfg_from_registry(name, entry) if entry else None
    sections = {"env": config, **({"agent": agent} if training else {})}
    check_overrides(job.overrides, sections)
    apply_overrides(of_sections(job.overrides, sections), sections)
    return config, Agent(library=job.backend, config=agent) if entry else None


def _launch() -> Any:
    """Start Isaac Sim without a window and return its application."""
    from isaaclab.app import AppLauncher

    rank = ranks.current()
    arguments: dict[str, Any] = {"headless": True, "device": rank.device("cuda:0"), "distributed": rank.several}
    if os.environ.get(ASSET_ROOT):
        root = os.environ[ASSET_ROOT].rstrip("/")
        arguments["kit_args"] = " ".join(
            f"--/persistent/isaac/asset_root/{name}={root}" for name in ("cloud", "default")
        )
    output = sys.stdout
    try:
        return AppLauncher(arguments).app
    finally:
        sys.stdout = output  # the launcher silences it, and leaves it so where it fails


def _end(app: Any, exit_code: int) -> None:
    """Close the application; it may end the process, which ``result.json`` does not depend on."""
    app.close()
