"""Columns of ``gaitway runs``: what each shows of a run, and how runs are sorted by it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone

from gaitway_runtime.spec.types import Json

from ..errors import UsageError, nearest
from ..run_handle import RunDocument
from .output import duration

DEFAULT = ("run", "status", "task", "on", "reward", "gate", "iterations", "time", "age")
"""Columns that are shown unless others are named."""


@dataclass(frozen=True)
class Column:
    """A column: a run's text in it, and the value that runs are sorted by, numbers largest first."""

    text: Callable[[RunDocument], str]
    value: Callable[[RunDocument], str | float | None]


def columns_named(names: str | None) -> tuple[str, ...]:
    """Return the columns of a comma-separated list.

    Raises:
        UsageError: There is no column of a name.
    """
    found = tuple(name.strip().lower() for name in names.split(",")) if names else DEFAULT
    for name in found:
        check_column(name, "--columns")
    return found


def check_column(name: str, source: str) -> None:
    """Refuse the name of a column that there is not.

    Raises:
        UsageError: There is no column of that name.
    """
    if name not in COLUMNS:
        close = nearest(name, COLUMNS)
        hint = f"did you mean {close}?" if close else None
        raise UsageError(f"there is no column '{name}'", source=source, allowed=", ".join(COLUMNS), hint=hint)


def row(document: RunDocument, columns: Sequence[str]) -> tuple[str, ...]:
    """Return a run's cells."""
    return tuple(COLUMNS[name].text(document) for name in columns)


def in_order(documents: Sequence[RunDocument], column: str) -> list[RunDocument]:
    """Return runs sorted by a column: numbers largest first, texts by the alphabet, runs without a value last."""
    value = COLUMNS[column].value
    known = [document for document in documents if value(document) is not None]
    numbers = [document for document in known if isinstance(value(document), float | int)]
    texts = [document for document in known if isinstance(value(document), str)]
    return [
        *sorted(numbers, key=lambda document: -float(value(document) or 0)),
        *sorted(texts, key=lambda document: str(value(document))),
        *(document for document in documents if value(document) is None),
    ]


def reward(document: RunDocument) -> float | None:
    """Return a run's reward: the evaluated one where there is one, else the last of its training."""
    metrics, progress = document["metrics"], document["progress"] or {}
    for part in (metrics.get("evaluation"), metrics, *metrics.values(), progress.get("evaluation")):
        found: Json = part.get("mean_reward") if isinstance(part, Mapping) else None
        if isinstance(found, float | int) and not isinstance(found, bool):
            return float(found)
    return progress.get("reward")


def _reward(document: RunDocument) -> str:
    """Return a run's reward with a word on it where it is not the evaluated one."""
    metrics, progress = document["metrics"], document["progress"] or {}
    judged = "evaluation" in metrics or "evaluation" in progress or (metrics and document["kind"] != "train")
    text = _number(reward(document))
    return text if judged or not text or document["passed"] is not None else f"{text} in training"


def _time(document: RunDocument) -> float | None:
    if document["seconds"] is not None:
        return document["seconds"]
    return _age(document) if document["status"] == "running" else None


def _age(document: RunDocument) -> float | None:
    try:
        created = datetime.fromisoformat(document["created"])
    except ValueError:
        return None
    return (datetime.now(timezone.utc) - created).total_seconds()


def _iterations(document: RunDocument) -> str:
    progress = document["progress"] or {}
    if document["status"] == "running" and "iteration" in progress:
        return f"{progress['iteration']}/{progress.get('total', '?')}"
    return _number(document["iterations"])


def _gate(document: RunDocument) -> str:
    return "" if document["gate"] == "not judged" else document["gate"].removeprefix("gate ")


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:,}" if isinstance(value, int) else f"{value:.2f}"


def _span(seconds: float | None) -> str:
    return "" if seconds is None else duration(seconds)


def short_age(seconds: float | None) -> str:
    """Return how long ago something was, in one unit."""
    if seconds is None:
        return ""
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds // size:.0f} {unit}"
    return f"{max(seconds, 0):.0f} s"


def to_the_second(time: str) -> str:
    """Return a time in ISO 8601 as people read it, without fractions and zone."""
    return time.partition(".")[0].partition("+")[0].replace("T", " ")


COLUMNS: Mapping[str, Column] = {
    "run": Column(lambda run: run["run"], lambda run: run["run"]),
    "status": Column(lambda run: run["status"], lambda run: run["status"]),
    "kind": Column(lambda run: run["kind"], lambda run: run["kind"]),
    "task": Column(lambda run: run["task"], lambda run: run["task"]),
    "on": Column(lambda run: run["platform"], lambda run: run["platform"]),
    "reward": Column(_reward, reward),
    "gate": Column(_gate, lambda run: _gate(run) or None),
    "iterations": Column(_iterations, lambda run: run["iterations"]),
    "time": Column(lambda run: _span(_time(run)), _time),
    "age": Column(lambda run: short_age(_age(run)), lambda run: None if _age(run) is None else -(_age(run) or 0)),
    "created": Column(lambda run: to_the_second(run["created"]), lambda run: run["created"]),
}
"""Columns by name, in the order in which they are listed."""
