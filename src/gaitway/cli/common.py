"""What the verbs that look at runs have in common."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import click

from ..handles import Run
from ..ledger import Ledger
from . import render, views


def run_argument() -> click.Argument:
    """Return the argument that names a run."""
    return click.Argument(["name"], metavar="RUN")


def find_run(name: str) -> Run:
    """Return a run of this folder by name.

    Raises:
        UsageError: There is none of that name; the error names the nearest.
        ConfigError: Its record is damaged.
    """
    ledger = Ledger.at_home(os.environ)
    return Run(ledger.read(name), ledger)


def show(document: Mapping[str, Any], as_json: bool, *, told: bool = False) -> None:
    """Print how a run stands, why it failed if it did (and nobody has ``told`` yet), and the next command."""
    if as_json:
        render.document(document)
    else:
        for line in views.run(document):
            render.answer(line)
    for line in views.failure(document, told=told):
        render.say(line)
    render.say(f"next: {document['next']}")
