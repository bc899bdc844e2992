"""What people read: plans, runs and payloads as lines of text."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from gaitway_runtime import catalog

from ..errors import GaitwayError
from ..payload.manifest import Payload
from ..planning import Change, Plan
from ..settings.values import Origin
from .render import duration, file_size

HEADLINES = ("mean_reward", "mean_episode_length", "survival_rate", "success_rate")
"""Metrics that are shown of every run that has them; those of the task's gate are shown too."""

PARITY = "parity.max_abs_error"

SHOWN_CHANGES = 8
"""Changes that a plan names one by one."""


def plan(plan: Plan) -> Iterator[str]:
    """Yield the lines of a plan."""
    yield f"Plan  {plan.kind} · {plan.run} → {plan.platform}"
    yield from _block("payload", payload_summary(plan.payload))
    yield from _block("settings", _columns([(s.key, s.shown, _origin(s.origin)) for s in plan.chosen]))
    if plan.previous:
        yield from _block("changed", [f"since {plan.previous}:", *_changes(plan)])
    yield from _block("note", plan.notes)


def payload_summary(payload: Payload) -> list[str]:
    """Return how much a payload is and where it comes from."""
    lines = [f"{len(payload.files)} files · {file_size(payload.size)} · sha256 {payload.sha256[:12]}"]
    lines.append(f"from {', '.join(payload.roots)}")
    if payload.commit:
        dirty = f"{len(payload.dirty)} files not as committed" if payload.dirty else "all files as committed"
        lines.append(f"commit {payload.commit[:12]}, {dirty}")
    if payload.left_out:
        lines.append(f"{len(payload.left_out)} left out (gaitway payload lists them)")
    return lines


def run(document: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines that tell how a run stands, from its JSON document."""
    took = f" in {duration(document['seconds'])}" if document["seconds"] else ""
    yield f"{document['run']} {document['status']}{took}"
    yield from _indented(_columns([(label, text) for label, text in _facts(document) if text]))


def row(document: Mapping[str, Any]) -> tuple[str, ...]:
    """Return a run as a row of ``gaitway runs``."""
    created = document["created"].partition(".")[0].replace("T", " ")
    return (*(document[key] for key in ("run", "status", "kind", "task", "platform")), created)


def failure(document: Mapping[str, Any], *, told: bool = False) -> Iterator[str]:
    """Yield why a run failed and where to look.

    Args:
        document: The run's JSON document.
        told: Whether the job's own words on it were on the screen already.
    """
    if document["status"] != "failed":
        return
    if not (told and document["error"]):
        yield from GaitwayError.from_dict(document["error"] or {"message": document["detail"]}).lines()
    log = Path(document["run_dir"], "log.txt")
    yield f"  log: {log if log.exists() else shlex.join(('gaitway', 'logs', document['run']))}"


def _facts(document: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    checkpoint, model = document["final_checkpoint"], document["registered_model"]
    iterations, steps = document["iterations"], document["steps"]
    yield "task", document["task"]
    yield "platform", document["platform"]
    yield "url", document["url"] or ""
    yield "iterations", f"{iterations:,}" + (f" ({steps:,} steps)" if steps else "") if iterations else ""
    yield "checkpoint", (checkpoint["uri"] or checkpoint["path"]) if checkpoint else ""
    yield "model", f"{model['name']} version {model['version']}" if model else ""
    yield from _metrics(document)
    yield "passed", {True: "yes", False: "no", None: ""}[document["passed"]]
    report = next((path for path in document["artifacts"] if path.endswith("report.html")), None)
    yield "report", f"{document['run_dir']}/outputs/{report}" if report else ""
    yield "folder", document["run_dir"]


def _metrics(document: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the numbers that people look at first: of each export format where there are several."""
    metrics, info = document["metrics"], catalog.find(document["task"])
    formats = metrics if all(isinstance(part, Mapping) for part in metrics.values()) else {"": metrics}
    gate = (threshold.metric for threshold in info.gate.thresholds) if info else ()
    for name in dict.fromkeys((*HEADLINES, *gate, PARITY)):
        measured = [(label, _number(part, name)) for label, part in formats.items()]
        yield (
            name.partition(".")[0],
            " · ".join(f"{label} {value:.4g}".strip() for label, value in measured if value is not None),
        )


def _number(metrics: Mapping[str, Any], path: str) -> float | None:
    """Return what a dotted path leads to, if that is a number."""
    found: Any = metrics
    for name in path.split("."):
        found = found.get(name) if isinstance(found, Mapping) else None
    return found if isinstance(found, float | int) else None


def _changes(plan: Plan) -> Iterator[str]:
    settings = [f"{change.what} {change.before} → {change.after}" for change in plan.changed_settings]
    files = [_file_change(change) for change in plan.changed_files]
    yield from (settings + files)[:SHOWN_CHANGES]
    more = len(settings + files) - SHOWN_CHANGES
    if more > 0:
        yield f"and {more} more"
    if not settings and not files:
        yield "nothing"


def _file_change(change: Change) -> str:
    if change.before is None:
        return f"{change.what} is new"
    return f"{change.what} {'is gone' if change.after is None else 'is changed'}"


def _origin(origin: Origin) -> str:
    return f"{origin.layer}: {origin.detail}" if origin.layer == "local" else str(origin)


def _columns(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _block(label: str, lines: Iterable[str]) -> Iterator[str]:
    """Yield lines beside a label that stands at the first."""
    for line in lines:
        yield f"  {label:<9} {line}"
        label = ""


def _indented(lines: Iterable[str]) -> Iterator[str]:
    return (f"  {line}" for line in lines)
