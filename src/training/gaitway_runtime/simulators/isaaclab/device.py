"""Device of this process's simulation and learner."""

from __future__ import annotations

import os
from collections.abc import Mapping

from ...spec.errors import ConfigError


def choose_device(environ: Mapping[str, str] = os.environ, *, needs_gpu: str = "") -> str:
    """Return ``cuda:<local rank>`` where there is a GPU, else ``cpu``. Imports torch.

    Args:
        environ: Has ``LOCAL_RANK`` where several processes share a node.
        needs_gpu: Why the configuration cannot do without a GPU; empty where it can.

    Raises:
        ConfigError: There is no GPU and the configuration needs one.
    """
    import torch

    if torch.cuda.is_available():
        rank = int(environ.get("LOCAL_RANK") or 0)
        # A platform may show each process its own GPU alone.
        return f"cuda:{rank if rank < torch.cuda.device_count() else 0}"
    if needs_gpu:
        raise ConfigError(
            f"there is no GPU here, and {needs_gpu}",
            source="torch.cuda",
            hint="run it on a GPU (--on osmo, --on azureml), or choose another physics: --set env.sim.physics=NAME",
        )
    return "cpu"
