"""Output: the answer on standard output, messages on standard error, colour only on a terminal, secrets nowhere."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Literal

import click
from gaitway_runtime.spec.secrets import scrub

from ..errors import GaitwayError, PlatformError
from . import layout

if TYPE_CHECKING:
    from ..payload.archive import Payload
    from ..planning import Change, Plan
    from ..settings.values import Origin


def answer(text: str = "", *, raw: bool = False) -> bool:
    """Print a part of the answer; return whether somebody still reads it.

    Args:
        text: One line or several.
        raw: Whether lines longer than the terminal are left as they are: a log, a file's content.
    """
    return _write(sys.stdout, text if raw else _fitted(text, sys.stdout))


def document(value: Any) -> None:
    """Print the answer as JSON: the one document of ``--json``."""
    _write(sys.stdout, json.dumps(value, indent=2, allow_nan=False))


def say(text: str = "", *, raw: bool = False) -> None:
    """Print a message; see :func:`answer`."""
    _write(sys.stderr, text if raw else _fitted(text, sys.stderr))


def say_command(label: str, command: Sequence[str] | str) -> None:
    """Print a command to paste after a label: broken between words, with backslashes, where a terminal is narrow."""
    words = shlex.split(command) if isinstance(command, str) else command
    width = terminal_width(sys.stderr)
    _write(sys.stderr, "\n".join(layout.command_lines(label, [shlex.quote(word) for word in words], width)))


def error(problem: GaitwayError) -> None:
    """Print an error: one sentence, then where it came from, what is allowed and what helps."""
    first, *rest = (_fitted(line, sys.stderr) for line in problem.lines())
    label, _, sentence = first.partition(":")
    _write(sys.stderr, paint(f"{label}:", sys.stderr, fg="red", bold=True) + sentence)
    for line in rest:
        _write(sys.stderr, line)


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print rows in aligned columns as the answer; a row takes several lines where a terminal is narrow."""
    lines = layout.table_lines(header, [tuple(row) for row in rows], terminal_width(sys.stdout))
    for text, is_header in lines:
        _write(sys.stdout, paint(text, sys.stdout, bold=True) if is_header else text)


def paint(
    text: str, stream: IO[str], *, fg: Literal["red", "green", "yellow"] | None = None, bold: bool = False
) -> str:
    """Return text in colour where a terminal shows it and ``NO_COLOR`` does not forbid it."""
    return click.style(text, fg=fg, bold=bold or None) if in_colour(stream) else text


def in_colour(stream: IO[str]) -> bool:
    """Whether a stream shows colour."""
    return is_terminal(stream) and not os.environ.get("NO_COLOR")


def is_terminal(stream: IO[str]) -> bool:
    """Whether a stream is a terminal that can move its cursor."""
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def terminal_width(stream: IO[str]) -> int | None:
    """Return the width of the terminal that a stream is shown on [characters]; None where it is shown on none."""
    return shutil.get_terminal_size().columns if stream.isatty() else None


def file_size(size: int) -> str:
    """Return a number of bytes as people read it."""
    amount = float(size)
    for unit in ("B", "KiB", "MiB"):
        if amount < 1024:
            return f"{amount:.0f} {unit}" if unit == "B" or amount >= 100 else f"{amount:.1f} {unit}"
        amount /= 1024
    return f"{amount:.1f} GiB"


def duration(seconds: float) -> str:
    """Return a time as people read it."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours < 48 else f"{hours // 24} days"


def open_closed_streams() -> None:
    """Give the process a standard input, output and error that go nowhere, where its caller closed them.

    A file that is opened later would otherwise get the closed one's number, and a child process would write into it.
    """
    for descriptor, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest free number: this one
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(descriptor, mode, encoding="utf-8", closefd=False))


def _fitted(text: str, stream: IO[str]) -> str:
    width = terminal_width(stream)
    return text if width is None else "\n".join(_wrapped(text.split("\n"), width))


def _wrapped(lines: Iterable[str], width: int) -> Iterator[str]:
    for line in lines:
        yield from layout.wrapped(line, width)


_OVERWRITTEN = re.compile(r"[^\n]*\r(?!\n)")
_CONTROL = re.compile(
    "\x1b(?!\\[[0-9;]{0,40}m)|[\x00-\x08\x0b-\x1a\x1c-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]"
)


def harmless(text: str) -> str:
    """Return a text that only colours a terminal: whatever else would move, rename, ask or reorder is shown as such.

    Logs, results and servers' answers are other people's texts. Of a line that overwrites itself the end is kept.
    """
    kept = _OVERWRITTEN.sub("", text.replace("\r\n", "\n"))
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), kept)


def _write(stream: IO[str], text: str) -> bool:
    """Write a text; a reader that has gone (``gaitway runs | head``) changes neither the work nor its exit code."""
    try:
        stream.write(harmless(scrub(text)) + "\n")
        stream.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        return False
    except OSError as problem:
        raise PlatformError(f"the output cannot be written: {problem.strerror}", source=stream.name) from None
    return True


HEADLINES = ("mean_reward", "mean_episode_length", "survival_rate", "success_rate")
"""Metrics that are shown of every run that has them; those of the task's gate are shown too."""

EXPORTS = {True: "equal the checkpoint", False: "differ from the checkpoint", None: ""}
"""Verdict of parity, in words."""

JUDGED_KINDS = ("train", "validate", "infer", "ship")
"""Kinds of job whose policy a gate may judge."""

LOCAL_UI = "http://127.0.0.1"
"""Beginning of a page that is served only while ``gaitway ui`` runs."""

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


def payload_summary(payload: Payload, *, listed: bool = False) -> list[str]:
    """Return how much a payload is and where it comes from.

    Args:
        payload: What is shipped.
        listed: Whether what is left out is named beside this.
    """
    lines = [f"{len(payload.files)} files · {file_size(payload.size)} · sha256 {payload.sha256[:12]}"]
    lines.append(f"from {', '.join(payload.roots)}")
    if payload.commit:
        dirty = f"{len(payload.dirty)} files not as committed" if payload.dirty else "all files as committed"
        lines.append(f"commit {payload.commit[:12]}, {dirty}")
    if payload.left_out:
        lines.append(f"{len(payload.left_out)} left out" + " (gaitway payload lists them)" * (not listed))
    return lines


def run(document: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines that tell how a run stands, from its JSON document."""
    took = f" in {duration(document['seconds'])}" if document["seconds"] else ""
    yield f"{document['run']} {document['status']}{took}"
    yield from _indented(_columns([(label, text) for label, text in _facts(document) if text]))


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
    yield "progress", _progress(document)
    yield "mlflow", _tracking(document)
    yield "iterations", f"{iterations:,}" + (f" ({steps:,} steps)" if steps else "") if iterations else ""
    yield "checkpoint", (checkpoint["uri"] or checkpoint["path"]) if checkpoint else ""
    yield "model", f"{model['name']} version {model['version']}" if model else ""
    yield from _metrics(document)
    yield "not published", _waiting(document)
    yield "exports", EXPORTS[document.get("exports_equal")]
    yield "gate", document["gate"].removeprefix("gate ") if document.get("kind") in JUDGED_KINDS else ""
    report = next((path for path in document["artifacts"] if path.endswith("report.html")), None)
    path = Path(document["run_dir"], "outputs", report) if report else None
    yield "report", str(path) if path and path.exists() else ""
    yield "folder", document["run_dir"]


def _progress(document: Mapping[str, Any]) -> str:
    """Return how far a run is; of one that has come to its end, whatever its verdict, nothing."""
    report = document.get("progress")
    if not report or document["status"] == "succeeded" or document["passed"] is not None:
        return ""
    from .live import words  # it follows runs, which most commands do without

    return " ".join(part for part in (report.get("phase", ""), words(report)) if part)


def _tracking(document: Mapping[str, Any]) -> str:
    """Return where a run's metrics are: a server's page, or this machine's store and the command that serves it."""
    url = document.get("tracking_url") or ""
    return f"run {url.rpartition('/')[2]} (gaitway ui)" if url.startswith(LOCAL_UI) else url


def _waiting(document: Mapping[str, Any]) -> str:
    """Return what of a run has not reached its tracking server."""
    waiting = document.get("waiting")
    if not waiting:
        return ""
    parts = [f"{waiting['records']} records wait for {waiting['server']} (gaitway sync)"] if waiting["records"] else []
    parts += [f"refused: {reason}" for reason in waiting["refused"][:3]]
    return " · ".join(parts)


def _metrics(document: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the numbers that people look at first: of each export format where there are several."""
    from gaitway_runtime.spec import catalog  # imports every task, which most commands do without

    metrics, info = document["metrics"], catalog.find(document["task"])
    formats = metrics if all(isinstance(part, Mapping) for part in metrics.values()) else {"": metrics}
    if isinstance(metrics.get("evaluation"), Mapping):
        formats = {"": metrics["evaluation"], "training": metrics}
    gate = (threshold.metric for threshold in info.gate.thresholds) if info else ()
    for name in dict.fromkeys((*HEADLINES, *gate, PARITY)):
        measured = [(label, _number(part, name)) for label, part in formats.items()]
        yield (
            name.partition(".")[0],
            " · ".join(f"{label} {value:.4g}".strip() for label, value in measured if value is not None),
        )


def _number(metrics: Mapping[str, object], path: str) -> float | None:
    """Return what a dotted path leads to, if that is a number."""
    found: Any = metrics
    for name in path.split("."):
        found = found.get(name) if isinstance(found, Mapping) else None
    return found if isinstance(found, float | int) else None


def _changes(plan: Plan) -> Iterator[str]:
    settings = [
        f"{change.what} {'not set' if change.before is None else change.before} → "
        f"{'not set' if change.after is None else change.after}"
        for change in plan.changed_settings
    ]
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
