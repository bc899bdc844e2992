"""Marks of log lines that a job in a container writes for programs. Standard library only."""

from __future__ import annotations

from .result import RESULT_MARK

MEMORY_MARK = "::gaitway-memory::"
"""Start of a log line with the memory of the container, ``{"used": BYTES, "limit": BYTES}``, written as it fills."""

CHECKPOINT_MARK = "::gaitway-checkpoint::"
"""Begins a log line that reports a whole checkpoint, ``{"path": ..., "iteration": ..., "sha256": ...}``."""

MARKS = (RESULT_MARK, MEMORY_MARK, CHECKPOINT_MARK)


def told_after(mark: str, line: str) -> str | None:
    """Return what a line of log tells a program after a mark; None where it does not hold the mark.

    The mark need not begin the line: what the job printed before may have had no end, as a progress bar has none.
    """
    _, found, told = line.partition(mark)
    return told if found else None


def for_people(line: str) -> str | None:
    """Return a line of log without what it tells programs; None where nothing else is in it."""
    starts = [at for mark in MARKS if (at := line.find(mark)) >= 0]
    if not starts:
        return line
    before = line[: min(starts)].rstrip("\r")
    return before if before.strip() else None
