"""Isaac Lab, where it is installed: the real thing, in its container or in an environment of its own.

Which generation is here decides who makes the environment (:data:`GENERATIONS`); what it is then, is the same:
``env.py`` for the evaluation, ``native.py`` for the learners. Nothing here imports Isaac Lab before it is used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Protocol

from ... import watchdog
from ...errors import ConfigError
from ..base import Availability
from . import detect, preflight

if TYPE_CHECKING:
    from ...job import Job
    from ..base import Env
    from .detect import Installation

GENERATIONS: dict[int, str] = {
    2: "gaitway_runtime.simulators.isaaclab.v2",
    3: "gaitway_runtime.simulators.isaaclab.v3",
}
"""Modules that start a generation of Isaac Lab and make its environments. Each offers ``open_env``."""


class Generation(Protocol):
    """What a module in :data:`GENERATIONS` offers."""

    def open_env(self, job: Job, installation: Installation, *, num_envs: int, training: bool, seed: int) -> Env:
        """Start the simulator if it does not run yet, and make an environment of the job's task.

        What must be imported or started in a certain order is: nobody has imported torch or Isaac Lab before.
        """
        ...


def availability() -> Availability:
    """Tell whether Isaac Lab is installed here, without importing it."""
    found = detect.find()
    if found is None:
        return Availability(
            False, reason="run in an Isaac Lab container (--on osmo, --on azureml) or use --simulator mujoco"
        )
    return Availability(True, found.release)


def start_first() -> None:
    """Start the simulator where it must run before anything of torch is imported: 2.x.

    Raises:
        ConfigError: It cannot run here.
    """
    installation = detect.find()
    if installation is not None and installation.generation == 2:
        from . import v2

        preflight.check_machine(installation)
        with watchdog.starting("Isaac Lab"):
            v2.start()


def open_env(job: Job, *, num_envs: int, training: bool, seed: int, **options: Any) -> Env:
    """Make an Isaac Lab environment.

    Args:
        job: The job; ``task``, ``imports``, ``overrides`` and, for training, ``backend`` are read.
        num_envs: Worlds to step together.
        training: False for the evaluation form (``-Play`` settings).
        seed: Seed of everything random.
        options: None are known.

    Raises:
        UsageError: The task is not registered, or an override does not fit its configuration.
        ConfigError: This Isaac Lab cannot run here.
    """
    installation = detect.find()
    if installation is None or installation.generation not in GENERATIONS:
        raise ConfigError("Isaac Lab is not installed here", hint=availability().reason or "--simulator mujoco")
    preflight.check_machine(installation)
    module: Generation = importlib.import_module(GENERATIONS[installation.generation])
    with watchdog.starting("Isaac Lab"):
        return module.open_env(job, installation, num_envs=num_envs, training=training, seed=seed)
