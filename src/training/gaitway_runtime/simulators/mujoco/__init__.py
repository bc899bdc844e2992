"""The embedded simulator: Isaac Lab's tasks on MuJoCo's batch engine, on the CPU."""

from __future__ import annotations

import importlib.metadata
import importlib.util
from typing import TYPE_CHECKING

from ...spec.packages import install_command
from ..base import Availability, Env

if TYPE_CHECKING:
    from ...spec.job import Job
    from .engine import Physics


def availability() -> Availability:
    """Tell whether MuJoCo's batch engine (MuJoCo 4) is installed here, without importing it."""
    if importlib.util.find_spec("mujoco") is None:
        return Availability(False, reason=install_command("local"))
    version = importlib.metadata.version("mujoco")
    if int(version.split(".")[0]) < 4:
        return Availability(False, version, reason=f"mujoco {version} is too old: pip install 'mujoco>=4.0'")
    return Availability(True, version)


def open_env(job: Job, *, num_envs: int, training: bool, seed: int, nthread: int = 0) -> Env:
    """Make an environment of the job's task.

    Args:
        job: The job; ``task``, ``overrides`` and, of a training job, ``shaping`` are read.
        num_envs: Worlds to step together.
        training: True for noise, randomisation, pushes and shaping; False for Isaac Lab's ``-Play`` settings.
        seed: Seed of everything random.
        nthread: Threads to step on; 0 for one per available CPU. Results do not depend on it.

    Raises:
        UsageError: The embedded simulator does not have the task, or an override does not fit it.
    """
    from .engine import batch_engine

    return open_task(job, num_envs=num_envs, training=training, seed=seed, physics=batch_engine(nthread))


def open_task(job: Job, *, num_envs: int, training: bool, seed: int, physics: Physics) -> Env:
    """Make an environment of the job's task on any physics; else as :func:`open_env`."""
    from ...spec.job import TrainJob
    from ...tasks.environment import find_environment
    from .env import MujocoEnv

    task = find_environment(job.task)
    if job.overrides:
        from .overrides import with_overrides

        task = with_overrides(task, job.overrides)
    shaping = job.shaping if isinstance(job, TrainJob) else True
    return MujocoEnv(task, num_envs=num_envs, training=training, seed=seed, shaping=shaping, physics=physics)
