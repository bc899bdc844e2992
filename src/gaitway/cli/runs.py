"""``gaitway runs``."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ..errors import GaitwayError
from ..handles import Run, damaged
from ..ledger import Ledger
from ..platforms.base import RunStatus, StatusReport
from . import render, views
from .command import VerbCommand, json_option

QUESTIONS_AT_ONCE = 8
"""Runs whose platforms are asked at the same time."""


def run(as_json: bool) -> None:
    """List the runs of this folder, newest last."""
    ledger = Ledger.at_home(os.environ)
    records, damages = ledger.all()
    with ThreadPoolExecutor(QUESTIONS_AT_ONCE) as pool:
        documents = list(pool.map(_document, [Run(record, ledger) for record in records]))
    if as_json:
        render.document([*(damaged(damage, ledger) for damage in damages), *documents])
    elif documents:
        render.table(("RUN", "STATUS", "KIND", "TASK", "ON", "CREATED"), map(views.row, documents))
    else:
        render.say(f"no runs in {ledger.home}; the first: gaitway train --task Isaac-Cartpole-v0")
    for damage in damages:
        render.say(f"warning: run '{damage.name}' is damaged: {damage.reason} ({ledger.run_dir(damage.name)})")


def _document(listed: Run) -> dict[str, Any]:
    try:
        return listed.document()
    except GaitwayError as error:
        return listed.document(StatusReport(RunStatus.UNKNOWN, detail=error.message))


command = VerbCommand("runs", callback=run, params=[json_option()])
