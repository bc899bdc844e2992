"""gaitway: train, validate and ship robot policies; the same job on a laptop, on Azure ML, or on NVIDIA OSMO."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

__all__ = ["Run", "__version__", "infer", "plan", "run", "runs", "submit", "train", "validate"]

if TYPE_CHECKING:
    from .api import infer, plan, run, runs, submit, train, validate
    from .handles import Run


def __getattr__(name: str) -> Any:
    """Import the interface when it is first used: ``import gaitway`` stays light."""
    if name == "Run":
        from .handles import Run

        return Run
    if name in __all__:
        from . import api

        return getattr(api, name)
    raise AttributeError(f"module 'gaitway' has no attribute '{name}'")
