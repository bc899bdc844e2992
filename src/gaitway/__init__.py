"""gaitway: train, validate and ship robot policies; the same job on a laptop, on Azure ML, or on NVIDIA OSMO."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:
    from gaitway_runtime.spec.errors import ConfigError as ConfigError
    from gaitway_runtime.spec.errors import GaitwayError as GaitwayError
    from gaitway_runtime.spec.errors import GateFailed as GateFailed
    from gaitway_runtime.spec.errors import JobFailed as JobFailed
    from gaitway_runtime.spec.errors import PlatformError as PlatformError
    from gaitway_runtime.spec.errors import UsageError as UsageError
    from gaitway_runtime.spec.job import DumpContractJob as DumpContractJob
    from gaitway_runtime.spec.job import InferJob as InferJob
    from gaitway_runtime.spec.job import ShipJob as ShipJob
    from gaitway_runtime.spec.job import TrainJob as TrainJob
    from gaitway_runtime.spec.job import ValidateJob as ValidateJob
    from gaitway_runtime.spec.result import CheckpointRef as CheckpointRef
    from gaitway_runtime.spec.result import GateVerdict as GateVerdict
    from gaitway_runtime.spec.result import Result as Result

    from .api import export as export
    from .api import infer as infer
    from .api import plan as plan
    from .api import run as run
    from .api import runs as runs
    from .api import ship as ship
    from .api import submit as submit
    from .api import train as train
    from .api import validate as validate
    from .run_handle import Run as Run
    from .run_handle import TrainResult as TrainResult
    from .run_handle import TrainRun as TrainRun
    from .status import RunStatus as RunStatus
    from .status import StatusReport as StatusReport

_MODULES = {
    "gaitway_runtime.spec.errors": (
        "ConfigError",
        "GaitwayError",
        "GateFailed",
        "JobFailed",
        "PlatformError",
        "UsageError",
    ),
    "gaitway_runtime.spec.job": ("DumpContractJob", "InferJob", "ShipJob", "TrainJob", "ValidateJob"),
    "gaitway_runtime.spec.result": ("CheckpointRef", "GateVerdict", "Result"),
    "gaitway.api": ("export", "infer", "plan", "run", "runs", "ship", "submit", "train", "validate"),
    "gaitway.run_handle": ("Run", "TrainResult", "TrainRun"),
    "gaitway.status": ("RunStatus", "StatusReport"),
}
"""Where each public name is defined."""

_HOME_OF = {name: module for module, names in _MODULES.items() for name in names}

__all__ = ["__version__", *_HOME_OF]


if not TYPE_CHECKING:  # a type checker knows every name from above, and is to find misspelt ones

    def __getattr__(name: str) -> object:
        """Import a public name when it is first used: ``import gaitway`` stays light."""
        if name not in _HOME_OF:
            raise AttributeError(f"module 'gaitway' has no attribute '{name}'")
        return getattr(importlib.import_module(_HOME_OF[name]), name)


def __dir__() -> list[str]:
    """Return the public names, for completion in a console."""
    return sorted([*globals(), *_HOME_OF])
