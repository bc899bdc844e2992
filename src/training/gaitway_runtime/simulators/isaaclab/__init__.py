"""Isaac Lab, where it is installed.

Presence is told from the package's files alone: importing ``isaaclab`` may start a simulator or fail.
"""

from __future__ import annotations

import importlib.util
from typing import Any

from ...errors import ConfigError
from ...job import Job
from ..base import Availability, Env


def availability() -> Availability:
    """Tell whether Isaac Lab is installed here, without importing it."""
    if importlib.util.find_spec("isaaclab") is None:
        return Availability(
            False, reason="run in an Isaac Lab container (--on osmo, --on azureml) or use --simulator mujoco"
        )
    return Availability(True)


def open_env(job: Job, *, num_envs: int, training: bool, seed: int, **options: Any) -> Env:
    """Make an Isaac Lab environment."""
    raise ConfigError("the Isaac Lab adapter is not part of this release yet", hint="use --simulator mujoco")
