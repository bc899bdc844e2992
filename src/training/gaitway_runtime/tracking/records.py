"""What a tracked run consists of, as records that can wait on disk."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

RUN_NOTE = "mlflow.json"
"""File in a job's output folder that names its MLflow run: ``run_id``, ``experiment``, ``tracking_uri``."""


@dataclass(frozen=True, kw_only=True)
class Record:
    """One thing to tell the tracking server."""

    kind: ClassVar[str]


@dataclass(frozen=True, kw_only=True)
class Open(Record):
    """Where the run belongs; always the first record of a journal."""

    kind: ClassVar[str] = "open"
    tracking_uri: str
    experiment: str
    name: str
    run_id: str | None = None
    """MLflow's id once the run exists there."""
    artifact_location: str | None = None
    """Where a new experiment keeps its artifacts; None leaves it to the server."""
    tags: Mapping[str, str] = field(default_factory=dict)
    managed: bool = False
    """The platform made the run and will end it."""


@dataclass(frozen=True, kw_only=True)
class Metrics(Record):
    """Values of one training step."""

    kind: ClassVar[str] = "metrics"
    values: Mapping[str, float]
    step: int
    time_ms: int


@dataclass(frozen=True, kw_only=True)
class Params(Record):
    """Run parameters."""

    kind: ClassVar[str] = "params"
    values: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Tags(Record):
    """Run tags."""

    kind: ClassVar[str] = "tags"
    values: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Artifact(Record):
    """A file or folder to upload below ``artifact_path``; ``tags`` are set once it is there."""

    kind: ClassVar[str] = "artifact"
    path: str
    artifact_path: str
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class End(Record):
    """The run's end: ``FINISHED``, ``FAILED`` or ``KILLED``."""

    kind: ClassVar[str] = "end"
    status: str
    time_ms: int


_KINDS: dict[str, type[Record]] = {cls.kind: cls for cls in (Open, Metrics, Params, Tags, Artifact, End)}


def to_line(record: Record) -> str:
    """Return a record as one line of JSON."""
    return json.dumps({"kind": record.kind, **dataclasses.asdict(record)}) + "\n"


def from_line(line: str) -> Record | None:
    """Return the record of a line; None for a line that a crash cut short or that is of no known kind."""
    try:
        values: dict[str, Any] = json.loads(line)
        return _KINDS[values.pop("kind")](**values)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
