"""Isaac Lab, where it is installed: the real thing, in its container or in an environment of its own.

Which generation is here decides who makes the environment (:data:`GENERATIONS`); what it is then, is the same:
``env.py`` for the evaluation, ``native.py`` for the learners. Nothing here imports Isaac Lab before it is used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Protocol

from ...process import waiting
from ...spec.errors import ConfigError, UsageError
from . import detect, preflight
from .detect import availability

if TYPE_CHECKING:
    from ...spec.job import Job
    from ..base import Env
    from .detect import Installation

__all__ = ["GENERATIONS", "Generation", "availability", "open_env", "start_first"]

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


def start_first() -> None:
    """Start the simulator where it must run before anything of torch is imported: 2.x.

    Raises:
        ConfigError: It cannot run here.
    """
    installation = detect.find()
    if installation is not None and installation.generation == 2:
        from . import v2

        preflight.check_machine(installation)
        with waiting.starting("Isaac Lab"):
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
    with waiting.starting("Isaac Lab"):
        env = module.open_env(job, installation, num_envs=num_envs, training=training, seed=seed)
    _check_rewards(job)
    return env


def _check_rewards(job: Job) -> None:
    """Refuse reward terms that a module, which is imported by now, has added for the embedded simulator alone.

    Raises:
        UsageError: There are some.
    """
    from ...tasks.own_rewards import added_rewards

    names = [term.name for term in added_rewards(job.task)]
    if names:
        raise UsageError(
            f"{', '.join(names)}: a reward that add_reward adds is one of the embedded simulator",
            source=f"--import {' --import '.join(job.imports)}",
            hint="--simulator mujoco, or a term in the configuration of an Isaac Lab task of your own",
        )
