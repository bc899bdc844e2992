"""A finding: one thing that was looked at, whether it is well, and what to do if it is not."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """One line of ``gaitway doctor``."""

    check: str
    ok: bool
    message: str
    fix: str = ""
    required: bool = True
    """Whether the platform cannot work without it."""
