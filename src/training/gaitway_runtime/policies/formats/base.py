"""Interface of an export format."""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ...spec.types import JsonObject

if TYPE_CHECKING:
    from ...spec.contract import PolicyContract
    from ..network import Policy
    from ..sessions import PolicySession


@dataclass(frozen=True)
class ExportFormat:
    """One export format. Parity, metrics, video and report follow from it."""

    title: str
    """Name as people write it, for reports."""
    file: str
    """Name of the file that is written; its suffix tells the format when the file is opened."""
    write: Callable[[Policy, PolicyContract, Path], None]
    """Writes a policy with its contract inside.

    Raises:
        JobFailed: The exporter failed, or what it wrote is not a valid model.
    """
    open: Callable[[Path, int], PolicySession]
    """Opens a written file to be played with a number of threads.

    Raises:
        UsageError: The file cannot be read, or has no contract inside.
    """
    properties: JsonObject = field(default_factory=dict)
    """What the contract's ``io`` section says of the format, beside the file's name."""


@contextlib.contextmanager
def quiet_torch() -> Iterator[None]:
    """Keep notes on TorchScript (deprecated), torchvision (not needed) and folded constants out of the job's log."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnx_ir", "onnxscript")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            for category in (DeprecationWarning, FutureWarning, UserWarning):
                warnings.simplefilter("ignore", category)
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
