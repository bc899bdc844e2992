"""``result.json``: the one place that says how a job ended.

It is written last and atomically. Whoever supervises a job trusts this file, never an exit code alone.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .files import replacing

RESULT_FILE = "result.json"
STATUSES = ("succeeded", "failed", "cancelled")


@dataclass(frozen=True, kw_only=True)
class CheckpointRef:
    """A checkpoint that was made: where to get it, where it lies, what it is."""

    uri: str | None
    path: str
    iteration: int
    sha256: str


@dataclass(frozen=True, kw_only=True)
class Result:
    """How a job ended.

    ``status`` is one of :data:`STATUSES`; ``cancelled`` stands for a job that was asked to stop and saved
    its work first. ``error`` is :meth:`gaitway_runtime.errors.GaitwayError.as_dict` or None.
    """

    kind: str
    task: str
    status: str
    exit_code: int = 0
    seconds: float = 0.0
    error: Mapping[str, Any] | None = None
    experiment: str | None = None
    mlflow_run_id: str | None = None
    iterations: int | None = None
    steps: int | None = None
    final_checkpoint: CheckpointRef | None = None
    registered_model: Mapping[str, str] | None = None
    metrics: Mapping[str, Any] = field(default_factory=dict)
    passed: bool | None = None
    artifacts: tuple[str, ...] = ()
    """Files made, relative to the output folder."""
    simulator: str | None = None


def write(result: Result, output_dir: Path) -> Path:
    """Write ``result.json`` into ``output_dir`` in one step and return its path."""
    path = output_dir / RESULT_FILE
    write_json(dataclasses.asdict(result), path)
    return path


def read(output_dir: Path) -> Result | None:
    """Return the result in ``output_dir``, or None while there is none (or none that is whole)."""
    try:
        values = json.loads((output_dir / RESULT_FILE).read_text(encoding="utf-8"))
        final = values.pop("final_checkpoint")
        artifacts = tuple(values.pop("artifacts"))
        checkpoint = CheckpointRef(**final) if final else None
        return Result(**values, final_checkpoint=checkpoint, artifacts=artifacts)
    except (OSError, ValueError, TypeError, KeyError):
        return None


def write_json(document: Any, path: Path) -> None:
    """Write a JSON document atomically: a reader sees the old file or the new one, never half of one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(document, indent=2, allow_nan=False) + "\n"
    with replacing(path) as partial:
        partial.write_text(text, encoding="utf-8")
