"""Sending what an earlier process could not: the journals it left behind."""

from __future__ import annotations

import time
from pathlib import Path

from .client import lasting
from .journal import JOURNAL, Journal, JournalBusy
from .records import Open
from .run_store import RunStore
from .sender import Patience, Sender

WAIT = 5.0
"""How long the start of a run may be held up by what earlier runs left [s]."""

_PATIENCE = Patience(flush=0.05)


def pending(runs: Path) -> list[Path]:
    """Return the journals below a folder of runs (``$GAITWAY_HOME/runs``), oldest first."""
    found = runs.glob(f"*/outputs/{Path(JOURNAL).stem}*.jsonl")
    return sorted(found, key=lambda path: path.stat().st_mtime)


def send_pending(runs: Path, wait: float = WAIT) -> int:
    """Send the journals below a folder of runs within ``wait`` [s]; return how many still hold something."""
    deadline = time.monotonic() + wait
    return sum(not send_journal(path, max(0.0, deadline - time.monotonic())) for path in pending(runs))


def send_journal(path: Path, wait: float = WAIT) -> bool:
    """Send one journal and return whether nothing of it is left; one that a live process holds is not touched."""
    try:
        journal = Journal(path)
    except JournalBusy:
        return True
    headers = [record for record in journal.read() if isinstance(record, Open)]
    if not headers:
        journal.close(delete=True)
        return True
    store = RunStore(headers[-1], path.parent)
    try:
        journal.append(store.open())
    except Exception as error:  # noqa: BLE001 - whatever is wrong with an old run must not stop the new one
        journal.close(delete=False)
        if lasting(error):
            path.rename(path.with_name(f"tracking-undeliverable-{time.time_ns()}.jsonl"))
        return lasting(error)
    sender = Sender(store, journal, _PATIENCE, opened=True)
    done = sender.drain(wait)
    sender.stop()
    return done


def clear_for(folder: Path) -> None:
    """Send what earlier runs left beside a new run's output folder, and what this folder itself holds of one."""
    own = folder / JOURNAL
    if own.exists() and not send_journal(own):
        own.rename(own.with_name(f"{own.stem}-{time.time_ns()}.jsonl"))
    send_pending(folder.parent.parent)
