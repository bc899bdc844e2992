"""Plain ONNX and TorchScript files, as targets beside the deployers'."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from ...spec.contract import PolicyContract
from ...spec.export_formats import EXPORT_FORMATS
from ..network import Policy
from .base import ExportTarget


def _no_problems(policy: Policy, contract: PolicyContract) -> Iterator[str]:
    yield from ()


def _writer(name: str) -> Callable[[Policy, PolicyContract, Path], None]:
    def write(policy: Policy, contract: PolicyContract, folder: Path) -> None:
        format = EXPORT_FORMATS.get(name)
        format.write(policy, contract, folder / format.file)

    return write


ONNX = ExportTarget("plain ONNX", _no_problems, _writer("onnx"))
JIT = ExportTarget("TorchScript", _no_problems, _writer("jit"))
