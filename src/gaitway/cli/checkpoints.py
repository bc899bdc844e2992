"""``gaitway checkpoints``."""

from __future__ import annotations

import dataclasses
import os
from typing import Any

import click
from gaitway_runtime.spec.job import THIS_MACHINE
from gaitway_runtime.spec.run_context import RunContext

from ..checkpoints import listing
from ..checkpoints.checkpoint import ListedCheckpoint
from ..checkpoints.listing import Listing
from ..errors import UsageError
from ..ledger import Ledger
from ..planning import place_flags_of
from ..platforms.base import load
from . import output
from .command import SectionOption, VerbCommand, json_option
from .runs import send_leftovers


def _checkpoints(name: str | None, task: str | None, as_json: bool) -> None:
    """List addresses of checkpoints, newest last."""
    if name and task:
        raise UsageError("a run and a task are given", source="--task", hint="name one of them")
    ledger = Ledger.at_home(os.environ)
    found = _find(ledger, name, task)
    if as_json:
        output.document(_document(found))
    elif found.checkpoints:
        output.table(("CHECKPOINT", "ITERATION", "REWARD", "RUN", "CREATED"), map(_row, found.checkpoints))
    else:
        output.say("no checkpoints; the first: gaitway train --task Isaac-Cartpole-v0")
    for note in found.notes:
        output.say(f"note: {note}")
    if found.best and found.best != found.latest:
        output.say(f"best: {found.best.uri}")
    if found.latest:
        output.say_command("next:", _next(ledger, found.best or found.latest))
    if not as_json:
        send_leftovers(ledger)


def _find(ledger: Ledger, name: str | None, task: str | None) -> Listing:
    if name:
        return listing.of_run(ledger, name, load)
    return listing.of_task(ledger, task, RunContext()) if task else listing.of_everything(ledger)


def _row(checkpoint: ListedCheckpoint) -> tuple[str, ...]:
    iteration = "" if checkpoint.iteration is None else str(checkpoint.iteration)
    reward = "" if checkpoint.reward is None else f"{checkpoint.reward:.2f}"
    return (
        checkpoint.uri,
        iteration,
        reward,
        checkpoint.run,
        checkpoint.created.partition("+")[0].partition(".")[0].replace("T", " "),
    )


def _document(found: Listing) -> dict[str, Any]:
    return {
        "checkpoints": [dataclasses.asdict(checkpoint) for checkpoint in found.checkpoints],
        "latest": found.latest and found.latest.uri,
        "best": found.best and found.best.uri,
        "notes": list(found.notes),
    }


def _next(ledger: Ledger, checkpoint: ListedCheckpoint) -> tuple[str, ...]:
    place = place_flags_of(checkpoint.run, ledger)
    words = ("gaitway", "infer", "--task", checkpoint.task, *place, "--checkpoint-uri", checkpoint.uri)
    elsewhere = checkpoint.platform not in ("", THIS_MACHINE, "registry")
    return (*words, "--on", checkpoint.platform) if elsewhere else words


checkpoints = VerbCommand(
    "checkpoints",
    callback=_checkpoints,
    params=[
        click.Argument(["name"], metavar="[RUN]", required=False),
        SectionOption(
            ["--task", "-t"], metavar="NAME", section="Core", help="Those of a task: of all runs, here and tracked."
        ),
        json_option(),
    ],
    help="They are meant for --checkpoint-uri. With --task, the tracking server's runs and registered "
    "models are listed too. A run's checkpoint can also be written as RUN@latest, RUN@best or RUN@ITERATION.",
)
