"""Results of runs that have not reached their tracking server, and their delivery."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

from .errors import GaitwayError
from .ledger import Ledger

if TYPE_CHECKING:
    from gaitway_runtime.tracking.backlog import DeliveredJournal

PATIENCE_S = 20.0
"""How long ``gaitway sync`` continues with a server that takes nothing [s]."""

STAMP = ".last-sync"
"""File in the home whose age tells when a delivery was last begun by itself."""

PAUSE_S = 60.0
"""Least time between two deliveries that begin by themselves [s]."""


class WaitingDocument(TypedDict):
    """Unsent records of a run, as ``--json`` prints them."""

    records: int
    server: str
    refused: list[str]


@dataclass(frozen=True)
class SyncOutcome:
    """Outcome of a delivery for one run."""

    run: str
    sent: int
    waiting: int
    server: str
    reason: str
    unknown: bool
    """Whether the server does not know the run any more."""
    refused: tuple[str, ...]


def waiting_of(run_dir: Path) -> WaitingDocument | None:
    """Return what of a run waits for its tracking server, or was refused for good; None where there is neither."""
    outputs = run_dir / "outputs"
    # Most runs have nothing left, and are then spared the import.
    if not any(outputs.glob("tracking-*.jsonl")):
        return None
    from gaitway_runtime.tracking.backlog import pending, rejected
    from gaitway_runtime.tracking.journal import journals_in

    found = [one for one in pending(journals_in(outputs)) if not one.held]
    refused = rejected(outputs)
    if not found and not refused:
        return None
    return {
        "records": sum(one.records for one in found),
        "server": found[-1].server if found else "",
        "refused": refused,
    }


def sync(ledger: Ledger, names: Sequence[str], *, recreate: bool = False) -> Iterator[SyncOutcome]:
    """Send what runs have left to tell their tracking servers, the oldest first.

    Args:
        ledger: The runs of this folder.
        names: Runs to look at; all when empty.
        recreate: Whether a run that its server does not know any more is made anew.
    """
    from gaitway_runtime.tracking.backlog import rejected, send_journal
    from gaitway_runtime.tracking.journal import journals_below, read_journal

    folders = {ledger.run_dir(name) / "outputs" for name in names}
    away: set[str] = set()
    for path in journals_below(ledger.runs):
        if folders and path.parent not in folders:
            continue
        header = read_journal(path).header
        server = header.tracking_uri if header else ""
        sent = send_journal(path, 0.0 if server in away else PATIENCE_S, recreate=recreate)
        if sent.waiting and not sent.unknown:
            away.add(server)
        if sent.sent or sent.waiting:
            yield _outcome(sent, server, tuple(rejected(path.parent)))


def _outcome(sent: DeliveredJournal, server: str, refused: tuple[str, ...]) -> SyncOutcome:
    return SyncOutcome(
        run=sent.path.parent.parent.name,
        sent=sent.sent,
        waiting=sent.waiting,
        server=server,
        reason=sent.reason,
        unknown=sent.unknown,
        refused=refused,
    )


def begin_delivery(ledger: Ledger) -> bool:
    """Start ``gaitway sync`` in the background if something waits; return whether it was started.

    It is not started again within :data:`PAUSE_S`: a server that is away is not asked at each command.
    """
    stamp = ledger.home / STAMP
    with suppress(OSError):
        # A clock that was set back since then does not count.
        if 0.0 <= time.time() - stamp.stat().st_mtime < PAUSE_S:
            return False
    with suppress(OSError, GaitwayError):
        waiting = (waiting_of(ledger.run_dir(name)) for name in ledger.names())
        if not any(one and one["records"] for one in waiting):
            return False
        stamp.touch()
        subprocess.Popen(
            [sys.executable, "-m", "gaitway", "sync", "--json"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            env={**os.environ, "GAITWAY_HOME": str(ledger.home)},
        )
        return True
    return False
