"""``gaitway logs RUN [-f]``."""

from __future__ import annotations

from . import render
from .command import VerbCommand
from .common import find_run, run_argument
from .options import SectionOption


def run(name: str, follow: bool) -> None:
    """Print a run's log."""
    for line in find_run(name).logs(follow):
        render.answer(line)


command = VerbCommand(
    "logs",
    callback=run,
    params=[
        run_argument(),
        SectionOption(["--follow", "-f"], is_flag=True, help="Go on until the run ends; Ctrl-C leaves it alone."),
    ],
)
