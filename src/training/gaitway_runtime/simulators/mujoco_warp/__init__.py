"""MuJoCo-Warp: the embedded simulator's tasks, with the physics of all worlds on a GPU."""

from __future__ import annotations

import importlib.metadata
import importlib.util
from typing import TYPE_CHECKING

from ...spec.packages import install_command
from .. import mujoco
from ..base import Availability, Env

if TYPE_CHECKING:
    from ...spec.job import Job

MINIMUM = 4
"""Least major release: the models are MuJoCo 4's."""


def availability() -> Availability:
    """Tell whether MuJoCo-Warp is installed here, beside what the embedded simulator needs, without importing it."""
    embedded = mujoco.availability()
    if not embedded.present:
        return embedded
    if importlib.util.find_spec("mujoco_warp") is None:
        return Availability(False, reason=install_command("local", "warp"))
    version = importlib.metadata.version("mujoco-warp")
    if int(version.split(".")[0]) < MINIMUM:
        return Availability(False, version, reason=f"mujoco-warp {version} is too old: pip install 'mujoco-warp>=4.0'")
    return Availability(True, version)


def open_env(job: Job, *, num_envs: int, training: bool, seed: int) -> Env:
    """Make an environment of the job's task; arguments and errors as of the embedded simulator's ``open_env``."""
    from .batch import warp_engine

    return mujoco.open_task(job, num_envs=num_envs, training=training, seed=seed, physics=warp_engine())
