"""All output: the answer on standard output, the talk on standard error, colour only on a terminal, secrets nowhere."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Sequence
from typing import IO, Any

import click
from gaitway_runtime.tracking.redaction import scrub

from ..errors import GaitwayError


def answer(text: str = "") -> None:
    """Print a part of the answer."""
    _write(sys.stdout, text)


def document(value: Any) -> None:
    """Print the answer as JSON: the one document of ``--json``."""
    _write(sys.stdout, json.dumps(value, indent=2, allow_nan=False))


def say(text: str = "") -> None:
    """Print a part of the talk."""
    _write(sys.stderr, text)


def error(problem: GaitwayError) -> None:
    """Print an error: one sentence, then where it came from, what is allowed and what helps."""
    first, *rest = problem.lines()
    label, _, sentence = first.partition(":")
    _write(sys.stderr, paint(f"{label}:", sys.stderr, fg="red", bold=True) + sentence)
    for line in rest:
        _write(sys.stderr, line)


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print rows in aligned columns as the answer."""
    cells = [tuple(header), *(tuple(row) for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(header))]
    for number, row in enumerate(cells):
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        _write(sys.stdout, paint(line, sys.stdout, bold=True) if number == 0 else line)


def paint(text: str, stream: IO[str], **style: Any) -> str:
    """Return text in colour where a terminal shows it and ``NO_COLOR`` does not forbid it."""
    return click.style(text, **style) if in_colour(stream) else text


def in_colour(stream: IO[str]) -> bool:
    """Whether a stream shows colour."""
    return is_terminal(stream) and not os.environ.get("NO_COLOR")


def is_terminal(stream: IO[str]) -> bool:
    """Whether a stream is a terminal that can move its cursor."""
    return stream.isatty() and os.environ.get("TERM") != "dumb"


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
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def _write(stream: IO[str], text: str) -> None:
    stream.write(scrub(text) + "\n")
    stream.flush()
