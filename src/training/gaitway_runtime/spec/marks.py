"""Marks of log lines that a job in a container writes for programs. Standard library only."""

from __future__ import annotations

from .result import RESULT_MARK

MEMORY_MARK = "::gaitway-memory::"
"""Start of a log line with the memory of the container, ``{"used": BYTES, "limit": BYTES}``, written as it fills."""

CHECKPOINT_MARK = "::gaitway-checkpoint::"
"""Begins a log line that reports a whole checkpoint, ``{"path": ..., "iteration": ..., "sha256": ...}``."""

MARKS = (RESULT_MARK, MEMORY_MARK, CHECKPOINT_MARK)
