"""Backlog: journals that earlier processes of this folder left unsent."""

from __future__ import annotations

import contextlib
import json
import logging
import threading
import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from ..spec.errors import ConfigError, GaitwayError
from ..spec.secrets import one_line
from ..stores.mlflow_client import Failure, StoreFailure
from .delivery import REJECTED, Delivery, Patience
from .journal import Contents, End, Journal, JournalBusy, is_held, journals_below, read_journal
from .run_store import RunStore, now_ms

_PATIENCE = Patience(flush=0.05)
_PAUSE_S = 0.1

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Pending:
    """Records that wait in one journal."""

    path: Path
    records: int
    server: str
    run_id: str | None
    held: bool = False
    """Whether a living process takes care of it."""

    @property
    def run(self) -> str:
        """Name of the run whose folder the journal lies in."""
        return self.path.parent.parent.name


@dataclass(frozen=True)
class DeliveredJournal:
    """Outcome of sending one journal."""

    path: Path
    sent: int = 0
    waiting: int = 0
    reason: str = ""
    """Why something still waits."""
    unknown: bool = False
    """Whether the server does not know the run (any more)."""
    busy: bool = False
    """Whether another process takes care of it."""

    @property
    def done(self) -> bool:
        """Whether nothing is left."""
        return self.waiting == 0 and not self.busy


def pending(paths: Iterable[Path]) -> list[Pending]:
    """Return what waits in some journals; those with nothing to send are left out."""
    found = []
    for path in paths:
        contents = read_journal(path)
        if contents.header is None:
            continue
        held = is_held(path)
        # a run that a dead process has left open has to be ended, even if all it had to tell has arrived
        count = contents.count or int(not contents.ended and not held)
        if count:
            found.append(Pending(path, count, contents.header.tracking_uri, contents.header.run_id, held))
    return found


def send_journal(path: Path, wait: float, *, end_killed: bool = True, recreate: bool = False) -> DeliveredJournal:
    """Send one journal; one that a living process holds is left to it.

    Args:
        path: The journal.
        wait: How long to go on without any success [s].
        end_killed: Whether to end, as killed, a run that its process has not ended; False for one who continues it.
        recreate: Whether to make the run anew, with everything that the journal has, if the server does not know it.
    """
    try:
        journal = Journal(path)
    except JournalBusy:
        return DeliveredJournal(path, busy=True)
    except OSError as error:
        return DeliveredJournal(path, waiting=1, reason=f"the journal cannot be opened: {error.strerror}")
    contents = journal.contents()
    if contents.header is None or (contents.ended and not contents.count):
        journal.close(delete=True)
        return DeliveredJournal(path)
    try:
        found = _deliver(journal, contents, wait, end_killed)
        if found.unknown and recreate:
            journal = _forget_positions(journal, contents)
            found = _deliver(journal, journal.contents(), wait, end_killed)
    except (GaitwayError, OSError) as error:
        found = DeliveredJournal(path, waiting=max(1, contents.count), reason=one_line(error))
    journal.close(delete=found.done)
    return found


def _deliver(journal: Journal, contents: Contents, wait: float, end_killed: bool) -> DeliveredJournal:
    assert contents.header is not None
    store = RunStore(contents.header, journal.path.parent, recovered=True)
    delivery = Delivery(store, journal, _PATIENCE)
    if end_killed and not contents.ended:
        delivery.add(End(status="KILLED", time_ms=now_ms()))
    total = left = delivery.count
    until = time.monotonic() + wait
    while delivery.count:
        delivery.work()
        if delivery.count < left:
            left, until = delivery.count, time.monotonic() + wait
        elif time.monotonic() >= until or _unknown(delivery):
            break
        else:
            time.sleep(min(_PAUSE_S, max(0.0, until - time.monotonic())))
    return DeliveredJournal(journal.path, total - delivery.count, delivery.count, delivery.reason, _unknown(delivery))


def _unknown(delivery: Delivery) -> bool:
    refusal = delivery.refusal
    return isinstance(refusal, StoreFailure) and refusal.kind is Failure.UNKNOWN


def _forget_positions(journal: Journal, contents: Contents) -> Journal:
    """Begin the journal anew, with every record it has and a run that is still to be made."""
    assert contents.header is not None
    header = replace(contents.header, run_id=None, resumed=False)
    header = replace(header, tags={**header.tags, "gaitway.recreated_from": contents.header.run_id or ""})
    fresh = journal.path.with_name(f"{journal.path.stem}-{time.time_ns()}.jsonl")
    renewed = Journal(fresh)
    renewed.append(header, *(record for lane in contents.lanes.values() for record in lane), durable=True)
    journal.close(delete=True)
    return renewed


def journals_of_run(runs: Path, run_id: str, but: Path) -> list[Path]:
    """Return the journals below a folder of runs that earlier attempts at an MLflow run have left.

    Args:
        runs: The folder of runs.
        run_id: MLflow's id of the run.
        but: Output folder to leave out.
    """
    return [
        path
        for path in journals_below(runs)
        if path.parent != but and (header := read_journal(path).header) is not None and header.run_id == run_id
    ]


class BackgroundBacklog:
    """A thread that sends the journals of other runs, so that no training waits for them.

    Args:
        runs: The folder of runs.
        but: Output folder to leave out.
        apart: Journals to leave out: those of earlier attempts at a run that somebody continues.
    """

    WAIT_S = 5.0
    """How long to continue with a server that is away [s]."""

    def __init__(self, runs: Path, but: Path, apart: Collection[Path]) -> None:
        self._runs, self._but, self._apart = runs, but, frozenset(apart)
        self._thread = threading.Thread(target=self._run, name="gaitway-backlog", daemon=True)
        self._thread.start()

    def wait(self, timeout: float) -> None:
        """Wait until all is sent, or for a time [s]."""
        self._thread.join(timeout)

    def _run(self) -> None:
        away: set[str] = set()
        for path in journals_below(self._runs):
            header = read_journal(path).header
            server = header.tracking_uri if header else ""
            if path.parent == self._but or path in self._apart or server in away:
                continue
            sent = send_journal(path, self.WAIT_S)
            if sent.waiting:
                away.add(server)
                _log.debug("%s still waits for %s: %s", path, server, sent.reason)
            elif sent.sent:
                _log.info("what run %s had left is sent: %d records", path.parent.parent.name, sent.sent)


def rejected(folder: Path) -> list[str]:
    """Return the reasons of the records of an output folder that MLflow has refused for good."""
    try:
        lines = (folder / REJECTED).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    reasons = []
    for line in lines:
        with contextlib.suppress(ValueError, KeyError, TypeError):
            reasons.append(str(json.loads(line)["reason"]))
    return reasons


def left_elsewhere(folder: Path, run_id: str) -> list[Path]:
    """Return the journals that earlier attempts at a run have left in the folders of other runs.

    Args:
        folder: Output folder of this attempt.
        run_id: MLflow's id of the run.

    Raises:
        ConfigError: One of them is at work still.
    """
    left = []
    for path in journals_of_run(folder.parent.parent, run_id, folder):
        if is_held(path):
            found = read_journal(path).header
            name = found.name if found else path.parent.parent.name
            raise ConfigError(
                f"MLflow run {run_id} is being trained by '{name}'",
                source=str(path.parent.parent),
                hint=f"wait for it, or stop it: gaitway cancel {name}",
            )
        left.append(path)
    return left


def sends(left: list[Path], run_id: str | None) -> Callable[[], bool]:
    """Return a function that sends what earlier attempts have left; False while it has to be called again."""

    def send() -> bool:
        while left:
            header = read_journal(left[0]).header
            same = header is not None and header.run_id is not None and header.run_id == run_id
            sent = send_journal(left[0], wait=0.0, end_killed=not same)
            if same and not sent.done and not sent.unknown:
                return False
            left.pop(0)
        return True

    return send
