"""Verb ``sync``: sends results that have not reached their tracking server, or copies files to or from a run."""

from __future__ import annotations

import dataclasses
import os

import click

from .. import unpublished
from ..errors import PlatformError, UsageError
from ..ledger import Ledger
from ..unpublished import SyncOutcome
from . import inside, output
from .command import SectionOption, VerbCommand, json_option

IN_RUN = "run:"
"""Begins a path that is in a run."""


def _sync(names: tuple[str, ...], recreate: bool, include: tuple[str, ...], as_json: bool) -> int:
    """Send what runs have left to tell their tracking servers, or copy files."""
    if any(word.startswith(IN_RUN) for word in names):
        if len(names) != 3:
            raise UsageError(
                "files are copied from one place to another", allowed=f"sync RUN SRC DST, one {IN_RUN}PATH"
            )
        return inside.copy_files(*names, include)
    if include:
        raise UsageError(
            "which files are copied from where?", source="--include", allowed=f"sync RUN SRC DST, one {IN_RUN}PATH"
        )
    ledger = Ledger.at_home(os.environ)
    for name in names:
        ledger.read(name)
    outcomes = []
    for outcome in unpublished.sync(ledger, names, recreate=recreate):
        outcomes.append(outcome)
        if not as_json:
            output.answer(_line(outcome))
        for reason in outcome.refused:
            output.say(f"  refused for good: {reason}")
    if as_json:
        output.document([dataclasses.asdict(outcome) for outcome in outcomes])
    elif not outcomes:
        output.say("nothing waits")
    if any(outcome.unknown for outcome in outcomes):
        output.say_command("next:", "gaitway sync --recreate")
    return PlatformError.exit_code if any(outcome.waiting for outcome in outcomes) else 0


def _line(outcome: SyncOutcome) -> str:
    if outcome.unknown:
        return (
            f"{outcome.run}: {outcome.waiting} records wait; {outcome.server} does not know the run any more "
            f"({outcome.reason}): --recreate makes it anew from them"
        )
    if outcome.waiting:
        return f"{outcome.run}: {outcome.waiting} records wait for {outcome.server}: {outcome.reason}"
    return f"{outcome.run}: {outcome.sent} records sent to {outcome.server}"


sync = VerbCommand(
    "sync",
    callback=_sync,
    params=[
        click.Argument(["names"], nargs=-1, metavar="[RUN ... | RUN SRC DST]"),
        SectionOption(
            ["--include"],
            multiple=True,
            metavar="GLOB",
            section="Core",
            help="Files to copy, as in '*.py'; repeatable, all when omitted.",
        ),
        SectionOption(
            ["--recreate"],
            is_flag=True,
            section="Core",
            help="Make a run anew that its server does not know any more, from everything that its journal has.",
        ),
        json_option(),
    ],
    help="Metrics, checkpoints and tags that a run could not send are kept in its folder. Runs that were killed are "
    "ended in MLflow. Exit code 4 where something still waits. With SRC and DST files are copied to or from a run that "
    "goes on, on platforms that can: one of the two is in the run, run:PATH.",
)
