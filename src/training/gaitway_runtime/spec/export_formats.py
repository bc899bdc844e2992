"""Table of export formats: names only; the client shows them without loading what they are written with."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from .registry import Registry

if TYPE_CHECKING:
    from ..policies.formats.base import ExportFormat

_FORMATS = "gaitway_runtime.policies.formats"

EXPORT_FORMATS: Registry[ExportFormat] = Registry(
    "gaitway.export_formats",
    "export format",
    {"onnx": f"{_FORMATS}.onnx:FORMAT", "jit": f"{_FORMATS}.torchscript:FORMAT"},
)
"""Formats by the name that ``--format`` takes."""

BOTH = ("onnx", "jit")
"""Formats that ``--format both`` stands for."""


class FormatChoices:
    """Values that ``--format`` takes: a format of the table, or ``both``."""

    def __iter__(self) -> Iterator[str]:
        yield from (*EXPORT_FORMATS, "both")

    def __contains__(self, value: object) -> bool:
        return value == "both" or value in EXPORT_FORMATS


def formats_of(choice: str) -> tuple[str, ...]:
    """Return the names of the formats that a value of ``--format`` stands for."""
    return BOTH if choice == "both" else (choice,)
