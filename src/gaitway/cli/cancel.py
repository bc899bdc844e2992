"""``gaitway cancel RUN``."""

from __future__ import annotations

from ..errors import UsageError
from . import render
from .command import VerbCommand, json_option
from .common import find_run, run_argument, show


def run(name: str, as_json: bool) -> None:
    """Ask a run to save and stop."""
    found = find_run(name)
    before = found.status()
    if before.status.ended:
        raise UsageError(
            f"run '{name}' has already ended: {before.status.value}", hint=f"gaitway status {name}", source="RUN"
        )
    render.say(f"asking {name} to save and stop; this may take a minute")
    show(found.document(found.cancel()), as_json)


command = VerbCommand("cancel", callback=run, params=[run_argument(), json_option()])
