"""``gaitway status RUN``."""

from __future__ import annotations

from collections import deque

from ..platforms.base import RunStatus
from . import render
from .command import VerbCommand, json_option
from .common import find_run, run_argument, show

LAST_LINES = 10
"""Log lines shown of a run that failed here."""


def run(name: str, as_json: bool) -> None:
    """Show how a run is doing."""
    found = find_run(name)
    report = found.status()
    if report.status is RunStatus.FAILED and not found.platform.limits.remote:
        for line in deque(found.logs(), LAST_LINES):
            render.say(f"| {line}")
    show(found.document(report), as_json)


command = VerbCommand("status", callback=run, params=[run_argument(), json_option()])
