"""``gaitway download RUN``."""

from __future__ import annotations

from pathlib import Path

from ..errors import UsageError
from . import render
from .command import VerbCommand, json_option
from .common import find_run, run_argument
from .options import SectionOption


def run(name: str, into: str | None, pattern: str, as_json: bool) -> None:
    """Copy a run's outputs here."""
    found = find_run(name)
    target = Path(into or name)
    paths = found.fetch(target, pattern)
    if not paths:
        raise UsageError(
            f"run '{name}' has no output that matches '{pattern}'", source="--pattern", hint=f"gaitway status {name}"
        )
    if as_json:
        render.document({"run": name, "into": str(target), "files": [str(path) for path in paths]})
        return
    for path in paths:
        render.answer(str(path))


command = VerbCommand(
    "download",
    callback=run,
    params=[
        run_argument(),
        SectionOption(["--into"], metavar="DIR", help="Folder to copy to; one named like the run when omitted."),
        SectionOption(
            ["--pattern"],
            metavar="GLOB",
            default="*",
            help="Files to copy, as in 'exported/*' or '*.mp4'; all when omitted.",
        ),
        json_option(),
    ],
)
