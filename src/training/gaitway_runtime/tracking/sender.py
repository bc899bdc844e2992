"""Sending a run's records off the training thread, in batches, with back-off; what must wait, waits on disk."""

from __future__ import annotations

import contextlib
import functools
import itertools
import json
import logging
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from .client import lasting, one_line
from .journal import Journal
from .records import Artifact, End, Metrics, Open, Record, to_line

REJECTED = "tracking-rejected.jsonl"
"""Records that the server will never take, each with its reason; beside the journal."""

BUSY_FACTOR = 20
"""How much longer than for a server that is away the end of a run waits for one that is taking what it is sent."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Patience:
    """How long things may wait [s]."""

    flush: float = 3.0
    """Between two sendings, so that values travel in batches."""
    first_delay: float = 1.0
    longest_delay: float = 60.0
    """Back-off after a failure: doubled each time, with jitter."""
    at_end: float = 30.0
    """For a server that is away when the run ends; what is left then stays on disk."""
    when_stopped: float = 10.0
    """The same for a run that was asked to stop: platforms give a job 30 s before they kill it."""


class Store(Protocol):
    """What a sender needs of a run's store: :class:`~gaitway_runtime.tracking.run_store.RunStore`."""

    def open(self) -> Open:
        """Find or make the run."""
        ...

    def send_values(self, records: Sequence[Record]) -> None:
        """Send metrics, parameters and tags."""
        ...

    def send_artifacts(self, records: Sequence[Record]) -> None:
        """Upload files."""
        ...

    def send_end(self, records: Sequence[Record]) -> None:
        """End the run."""
        ...


class Lane:
    """Records that are sent in order, with a back-off of their own: a failure holds up this lane alone."""

    def __init__(self, name: str, send: Callable[[Sequence[Record]], None], batch: int, patience: Patience) -> None:
        self.name = name
        self.send = send
        self.batch = batch
        self.waiting: deque[Record] = deque()
        self.failures = 0
        self._not_before = 0.0
        self._patience = patience

    @property
    def held_up(self) -> float:
        """For how long nothing is to be tried [s]."""
        return max(0.0, self._not_before - time.monotonic())

    def failed(self, reason: str) -> None:
        """Wait longer before the next try."""
        if not self.failures:
            _log.warning("tracking is away, %s are kept on disk and sent later: %s", self.name, reason)
        delay = min(self._patience.first_delay * 2**self.failures, self._patience.longest_delay)
        self._not_before = time.monotonic() + delay * random.uniform(0.5, 1.0)
        self.failures += 1

    def succeeded(self) -> None:
        """Forget earlier failures."""
        if self.failures:
            _log.warning("tracking is back, %s are being sent", self.name)
        self.failures = 0

    def retry_now(self) -> None:
        """Do not wait for the back-off to pass."""
        self._not_before = 0.0


class Sender:
    """A thread that carries records from the journal to the store.

    Args:
        store: Where the records go.
        journal: Where they wait. Records that are in it already are sent first.
        patience: How long things may wait.
        opened: Whether the store's run is open; if not, it is opened as soon as the server answers.
    """

    def __init__(self, store: Store, journal: Journal, patience: Patience, *, opened: bool) -> None:
        self._store = store
        self._journal = journal
        self._patience = patience
        self._opened = opened
        self._values = Lane("metrics, parameters and tags", store.send_values, 60, patience)
        self._artifacts = Lane("artifacts", store.send_artifacts, 1, patience)
        self._ends = Lane("the end of the run", store.send_end, 1, patience)
        self._lanes = (self._values, self._artifacts, self._ends)
        self._changed = threading.Condition()
        self._hurry = False
        self._stopping = False
        self._header = Open(tracking_uri="", experiment="", name="")
        for record in journal.read():
            self._queue(record)
        self._thread = threading.Thread(target=self._run, name="gaitway-tracking", daemon=True)
        self._thread.start()

    def add(self, record: Record) -> None:
        """Take a record: it is on disk when this returns, and sent soon."""
        with self._changed:
            try:
                self._journal.append(record)
            except OSError as error:
                _log.warning("tracking cannot be kept on disk (%s), only in memory", error.strerror)
            self._queue(record)
            if not isinstance(record, Metrics):
                self._hurry = True
                self._changed.notify_all()

    def drain(self, timeout: float) -> bool:
        """Wait until everything has been sent; return whether it has.

        Args:
            timeout: Longest wait for a server that is away [s]; uploads that are under way get
                :data:`BUSY_FACTOR` times as long.
        """
        start = time.monotonic()
        with self._changed:
            self._hurry = True
            for lane in self._lanes:
                lane.retry_now()
            self._changed.notify_all()
            while not self._idle:
                away = not self._opened or any(lane.failures for lane in self._lanes)
                if time.monotonic() - start >= timeout * (1 if away else BUSY_FACTOR):
                    return False
                self._changed.wait(min(timeout, 0.2))
        return True

    def stop(self) -> None:
        """Stop sending; what is left stays in the journal."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
            idle = self._idle
        self._thread.join(timeout=1.0)
        self._journal.close(delete=idle)

    @property
    def _idle(self) -> bool:
        return not any(lane.waiting for lane in self._lanes)

    def _queue(self, record: Record) -> None:
        if isinstance(record, Open):
            self._header = record
        elif isinstance(record, Artifact):
            self._artifacts.waiting.append(record)
        elif isinstance(record, End):
            self._ends.waiting.append(record)
        else:
            self._values.waiting.append(record)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._hurry or self._stopping, self._pause())
                if self._stopping:
                    return
                self._hurry = False
            if self._opened or self._open():
                for lane in self._lanes:
                    if lane is not self._ends or not (self._values.waiting or self._artifacts.waiting):
                        self._work_off(lane)

    def _pause(self) -> float:
        """Return how long to gather records before the next sending [s]."""
        return max(0.01, min([self._patience.flush, *(lane.held_up for lane in self._lanes if lane.failures)]))

    def _open(self) -> bool:
        def action() -> None:
            self._header = self._store.open()
            self._journal.append(self._header)

        self._opened = not self._values.held_up and self._attempt(self._values, action) is None
        return self._opened

    def _work_off(self, lane: Lane) -> None:
        size = lane.batch
        while lane.waiting and not lane.held_up and not self._stopping:
            records = list(itertools.islice(lane.waiting, size))
            error = self._attempt(lane, functools.partial(lane.send, records))
            if error is not None and not lasting(error):
                return
            if error is not None and len(records) > 1:
                size = 1  # one of them is at fault: find it
                continue
            if error is not None:
                self._reject(records[0], one_line(error))
            self._sent(lane, len(records))

    def _attempt(self, lane: Lane, action: Callable[[], None]) -> Exception | None:
        """Run an action and return the error it met, after noting it on the lane."""
        try:
            action()
        except Exception as error:  # noqa: BLE001 - the edge of the thread: whatever a store does, the training goes on
            if not lasting(error):
                lane.failed(one_line(error))
            return error
        lane.succeeded()
        return None

    def _sent(self, lane: Lane, count: int) -> None:
        with self._changed:
            for _ in range(count):
                lane.waiting.popleft()
            if self._idle:
                with contextlib.suppress(OSError):
                    self._journal.rewrite(self._header)
                self._changed.notify_all()

    def _reject(self, record: Record, reason: str) -> None:
        _log.warning("tracking refused a record for good (%s): %s", record.kind, reason)
        with contextlib.suppress(OSError), self._journal.path.with_name(REJECTED).open("a", encoding="utf-8") as file:
            file.write(json.dumps({"reason": reason, "record": json.loads(to_line(record))}) + "\n")
