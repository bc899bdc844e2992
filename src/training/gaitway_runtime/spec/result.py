"""``result.json``, the one document that says how a job ended.

It is written last and atomically. Whoever supervises a job trusts this file, never an exit code alone.
"""

from __future__ import annotations

import dataclasses
import enum
import importlib.metadata
import json
import math
import platform
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from .errors import ErrorDocument
from .files import replacing
from .types import Json, JsonObject

T = TypeVar("T")

RESULT_FILE = "result.json"

RESULT_MARK = "::gaitway-result::"
"""Begins the log line that carries ``result.json`` out of a container, as one line of JSON."""

LIBRARIES = ("mujoco", "torch", "onnxruntime", "onnx", "rsl-rl-lib", "skrl", "isaaclab", "numpy")
"""Libraries that decide a measurement."""

STATUSES = ("succeeded", "failed", "cancelled")

JUDGING_KINDS = ("train", "validate")
"""Job kinds whose ``passed`` is the gate's verdict."""


@dataclass(frozen=True, kw_only=True)
class CheckpointRef:
    """A checkpoint that was made: where to get it, where it lies, what it is."""

    uri: str | None
    path: str
    iteration: int
    sha256: str


@dataclass(frozen=True, kw_only=True)
class EvaluatedCheckpoint:
    """The checkpoint that a job exported or judged: its address and its content."""

    uri: str
    sha256: str


class GateVerdict(str, enum.Enum):
    """Whether a policy met its task's gate."""

    MET = "gate met"
    NOT_MET = "gate not met"
    NOT_JUDGED = "not judged"


@dataclass(frozen=True, kw_only=True)
class Result:
    """How a job ended.

    ``status`` is one of :data:`STATUSES`; ``cancelled`` stands for a job that was asked to stop and saved
    its work first. ``error`` is :meth:`gaitway_runtime.spec.errors.GaitwayError.as_dict` or None.
    """

    kind: str
    task: str
    status: str
    exit_code: int = 0
    seconds: float = 0.0
    error: ErrorDocument | None = None
    experiment: str | None = None
    mlflow_run_id: str | None = None
    iterations: int | None = None
    steps: int | None = None
    final_checkpoint: CheckpointRef | None = None
    registered_model: Mapping[str, str] | None = None
    metrics: JsonObject = field(default_factory=dict)
    passed: bool | None = None
    """Whether nothing that was looked at failed: the gate, and of exports that they are equal to the checkpoint."""
    exports_equal: bool | None = None
    """Whether every export computes what the checkpoint does; None where nothing was exported."""
    gate: str | None = None
    """Value of :class:`GateVerdict`; None where it follows from ``passed`` (a job that is a judgement)."""
    artifacts: tuple[str, ...] = ()
    """Files made, relative to the output folder."""
    simulator: str | None = None
    evaluated_checkpoint: EvaluatedCheckpoint | None = None
    published: bool | None = None
    """Whether the final checkpoint can be fetched from the tracking server; None where there is no such server."""

    @property
    def verdict(self) -> GateVerdict:
        """Whether the policy met its task's gate, where this job judged it."""
        if self.gate is not None:
            return GateVerdict(self.gate)
        if self.passed is None or self.kind not in JUDGING_KINDS:
            return GateVerdict.NOT_JUDGED
        return GateVerdict.MET if self.passed else GateVerdict.NOT_MET

    def metric(self, path: str) -> float:
        """Return a number among the metrics, for example ``mean_reward`` or ``onnx.mean_reward``.

        Raises:
            KeyError: There is no number of that name.
        """
        found: Json = self.metrics
        for name in path.split("."):
            found = found.get(name) if isinstance(found, Mapping) else None
        if isinstance(found, bool) or not isinstance(found, (int, float)):
            raise KeyError(path)
        return float(found)


def write(result: Result, output_dir: Path) -> Path:
    """Write ``result.json`` into ``output_dir`` in one step and return its path; NaN and Inf become null."""
    path = output_dir / RESULT_FILE
    write_json(_finite(dataclasses.asdict(result)), path)
    return path


def numbers_of(document: Mapping[str, object], prefix: str = "") -> dict[str, float]:
    """Return the numbers of a metrics document by dotted name."""
    found: dict[str, float] = {}
    for name, value in document.items():
        if isinstance(value, Mapping):
            found |= numbers_of(value, f"{prefix}{name}.")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            found[prefix + name] = value
    return found


def _finite(value: Any) -> Any:
    """Return a document without numbers that JSON does not have."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {name: _finite(item) for name, item in value.items()}
    return [_finite(item) for item in value] if isinstance(value, (list, tuple)) else value


def read(output_dir: Path) -> Result | None:
    """Return the result in ``output_dir``, or None while there is none (or none that is whole)."""
    try:
        return from_document(json.loads((output_dir / RESULT_FILE).read_text(encoding="utf-8")))
    except (OSError, ValueError, RecursionError):
        return None


def from_document(document: Json) -> Result:
    """Return a result from its JSON document. A field that this release does not know is left out.

    Raises:
        ValueError: A field is missing or not of its type, or the status is unknown.
    """
    if not isinstance(document, Mapping):
        raise ValueError("a result is a JSON object")
    result = _built(Result, document)
    if result.status not in STATUSES:
        raise ValueError(f"a result's status is not '{result.status}'")
    if result.error is not None and not isinstance(result.error.get("message"), str):
        raise ValueError("a result's error has no message")
    return result


def _built(cls: type[T], document: JsonObject) -> T:
    """Return a dataclass from its JSON object."""
    hints = typing.get_type_hints(cls)
    names = [name for name in hints if name in document]
    try:
        return cls(**{name: _converted(hints[name], document[name], name) for name in names})
    except TypeError as error:
        raise ValueError(f"a result is not whole: {error}") from None


def _converted(hint: Any, value: Json, name: str) -> Any:
    """Return a value of a JSON document as the field of that type holds it."""
    arms = typing.get_args(hint) if typing.get_origin(hint) in (types.UnionType, typing.Union) else (hint,)
    if value is None and type(None) in arms:
        return None
    kind: Any = next(arm for arm in arms if arm is not type(None))
    if isinstance(kind, type) and dataclasses.is_dataclass(kind) and isinstance(value, Mapping):
        return _built(kind, value)
    origin = typing.get_origin(kind) or kind
    wanted: Any = {tuple: list, float: (int, float)}.get(origin, origin)
    if not isinstance(value, wanted) or (isinstance(value, bool) and origin is not bool):
        raise ValueError(f"a result's {name} is not of its type")
    return tuple(value) if isinstance(value, list) else value


def write_json(document: Any, path: Path) -> None:
    """Write a JSON document atomically: a reader sees the old file or the new one, never half of one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(document, indent=2, allow_nan=False) + "\n"
    with replacing(path) as partial:
        partial.write_text(text, encoding="utf-8")


def versions() -> dict[str, str]:
    """Return the releases of the libraries that decide a measurement, as far as they are installed."""
    found = {name: _version(name) for name in LIBRARIES}
    return {"python": platform.python_version(), **{name: version for name, version in found.items() if version}}


def _version(library: str) -> str | None:
    try:
        return importlib.metadata.version(library)
    except importlib.metadata.PackageNotFoundError:
        return None
