"""Delivery of a journal: lanes of records, each with a position and a back-off of its own; a thread that sends them."""

from __future__ import annotations

import contextlib
import functools
import json
import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ..spec.errors import GaitwayError
from ..spec.secrets import one_line
from ..stores.mlflow_client import Backoff, Failure, StoreFailure, attempt
from .attempts import Superseded
from .base import Store
from .journal import (
    ARTIFACTS,
    END,
    VALUES,
    Artifact,
    End,
    Journal,
    Metrics,
    Record,
    Refused,
    Sent,
    lane_of,
    to_line,
)

REJECTED = "tracking-rejected.jsonl"
"""Records that MLflow has refused for good, each with its reason; beside the journal."""

VALUES_AT_ONCE = 60
"""Records of values that travel together."""

BUSY_FACTOR = 20
"""How much longer the end of a run waits for a server that is taking what it is sent than for one that is away."""

FAILURES_THAT_LET_PASS = 5
"""Failures after which an artifact no longer holds up the end of its run."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Patience:
    """How long things may wait [s]."""

    start: float = 3.0
    """For the server's answer before a job begins."""
    flush: float = 3.0
    """Between two sendings, so that values travel in batches."""
    first_delay: float = 1.0
    longest_delay: float = 60.0
    """Back-off after a failure: doubled each time, with jitter."""
    at_end: float = 30.0
    """For a server that is away when the run ends; what is left then stays on disk."""
    when_stopped: float = 10.0
    """The same for a run that was asked to stop: platforms give a job 30 s before they kill it."""
    renew: float = 60.0
    """Between two signs of life of a run."""


@dataclass
class Waiting:
    """A record that waits, and what has been met with it."""

    index: int
    record: Record
    failures: int = 0
    not_before: float = 0.0


class Delivery:
    """Carries the records of a journal to a store.

    Args:
        store: Where the records go.
        journal: Where they wait. Records that are in it already are sent first.
        patience: Back-off.
        opened: Whether the run is open; if not, it is opened as soon as the server answers.
    """

    def __init__(self, store: Store, journal: Journal, patience: Patience, *, opened: bool = False) -> None:
        self._store = store
        self._journal = journal
        self._backoff = Backoff(patience.first_delay, patience.longest_delay)
        self._lock = threading.Lock()
        self._counts = dict.fromkeys((VALUES, ARTIFACTS, END), 0)
        self._lanes: dict[str, list[Waiting]] = {VALUES: [], ARTIFACTS: [], END: []}
        self._failures = 0
        self._not_before = 0.0
        self.opened = opened
        self.stopped = False
        """Whether nothing further is to be attempted."""
        self.superseded: Superseded | None = None
        """Set once a later attempt continues the run: nothing more is kept or sent."""
        self.refusal: GaitwayError | StoreFailure | None = None
        """Why the run could not be opened at the last attempt."""
        self.reason = ""
        """Last failure, in one line; empty while there is none."""
        self.no_room = False
        """Whether that was a full disk, which does not pass by itself."""
        self.places: dict[int, str] = {}
        """Path among the artifacts of each one that has arrived, by its index."""
        contents = journal.contents()
        for lane, records in contents.lanes.items():
            self._counts[lane] = len(records)
            self._lanes[lane] = [Waiting(index, record) for index, record in contents.waiting(lane)]

    def add(self, record: Record) -> int:
        """Take a record and return its index in its lane: it is on disk when this returns."""
        lane = lane_of(record)
        assert lane is not None, "only records that are sent are added"
        with self._lock:
            if self.superseded:
                return self._counts[lane]
            try:
                self._journal.append(record, durable=not isinstance(record, Metrics))
            except OSError as error:
                self._say(f"tracking cannot be kept on disk ({error.strerror}), only in memory")
            index = self._counts[lane]
            self._counts[lane] += 1
            self._lanes[lane].append(Waiting(index, record))
            return index

    @property
    def count(self) -> int:
        """Number of records that wait."""
        return sum(map(len, self._lanes.values()))

    @property
    def away(self) -> bool:
        """Whether the store did not take what it was last sent."""
        return not self.opened or self._failures > 0 or any(item.failures for item in self._lanes[ARTIFACTS])

    @property
    def pause(self) -> float | None:
        """For how long nothing is to be attempted [s]; None while nothing has failed."""
        times = [self._not_before] if self._failures else []
        times += [item.not_before for item in self._lanes[ARTIFACTS] if item.failures]
        return max(0.0, min(times) - time.monotonic()) if times else None

    def retry_now(self) -> None:
        """Do not wait for the back-off to pass."""
        self._not_before = 0.0
        for item in self._lanes[ARTIFACTS]:
            item.not_before = 0.0

    def work(self) -> None:
        """Send everything that may be sent now. Whatever a store does, this does not raise."""
        with contextlib.suppress(OSError):
            self._journal.sync()
        if time.monotonic() < self._not_before or not (self.opened or self._open()):
            return
        try:
            self._send_values()
            self._send_artifacts()
            if not self._lanes[VALUES] and all(
                item.failures >= FAILURES_THAT_LET_PASS for item in self._lanes[ARTIFACTS]
            ):
                self._send_end()
        except Superseded as error:
            self.stand_back(error)

    def stand_back(self, error: Superseded) -> None:
        """Keep and send nothing more: a later attempt continues the run, from a checkpoint of this one."""
        with self._lock:
            if self.superseded is None:
                self._say(error.message)
            self.superseded = error
            self._lanes = {lane: [] for lane in self._lanes}

    def _open(self) -> bool:
        try:
            header = attempt(self._store.open)
        except (GaitwayError, StoreFailure) as error:
            self.refusal = error
            self._failed(error)
            return False
        with contextlib.suppress(OSError):
            self._journal.append(header, durable=True)
        self.opened, self.refusal = True, None
        self._succeeded()
        return True

    def _send_values(self) -> None:
        size = VALUES_AT_ONCE
        while not self.stopped and (items := self._lanes[VALUES][:size]):
            records = [item.record for item in items]
            try:
                attempt(functools.partial(self._store.send_values, records))
            except Superseded:
                raise
            except (StoreFailure, GaitwayError) as error:
                if not _lasting(error):
                    self._failed(error)
                    return
                if len(items) > 1:
                    size = 1  # one of them is at fault: find it
                    continue
                self._refuse(VALUES, items[0], one_line(error))
                continue
            self._succeeded()
            self._arrived(VALUES, items)

    def _send_artifacts(self) -> None:
        """Send each file that may be attempted now; one that fails does not hold up the others."""
        for item in list(self._lanes[ARTIFACTS]):
            assert isinstance(item.record, Artifact)
            if self.stopped or time.monotonic() < item.not_before:
                continue
            try:
                place = attempt(functools.partial(self._store.send_artifact, item.record))
            except Superseded:
                raise
            except (StoreFailure, GaitwayError) as error:
                if isinstance(error, StoreFailure) and isinstance(error.error, FileNotFoundError):
                    self._refuse(ARTIFACTS, item, f"the file is gone: {item.record.path}")
                    continue
                self._note(error)
                if not item.failures:
                    self._say(f"{item.record.path} is kept on disk and sent later: {self.reason}")
                item.failures += 1
                item.not_before = time.monotonic() + self._backoff.delay(item.failures)
                continue
            self.places[item.index] = place
            self._arrived(ARTIFACTS, [item], place)

    def _send_end(self) -> None:
        for item in list(self._lanes[END]):
            assert isinstance(item.record, End)
            try:
                attempt(functools.partial(self._store.send_end, item.record))
            except Superseded:
                raise
            except (StoreFailure, GaitwayError) as error:
                if not _lasting(error):
                    self._failed(error)
                    return
                self._refuse(END, item, one_line(error))
                continue
            self._arrived(END, [item])

    def _arrived(self, lane: str, items: Sequence[Waiting], where: str = "") -> None:
        with self._lock:
            note = Sent(lane=lane, first=items[0].index, last=items[-1].index, where=where)
            with contextlib.suppress(OSError):
                self._journal.append(note)
            gone = {item.index for item in items}
            self._lanes[lane] = [item for item in self._lanes[lane] if item.index not in gone]

    def _refuse(self, lane: str, item: Waiting, reason: str) -> None:
        self._say(f"MLflow refused a record for good ({item.record.kind}): {reason}")
        with self._lock:
            with contextlib.suppress(OSError):
                self._journal.append(Refused(lane=lane, index=item.index, reason=reason), durable=True)
                with self._journal.path.with_name(REJECTED).open("a", encoding="utf-8") as file:
                    document = {"reason": reason, "record": json.loads(to_line(item.record))}
                    file.write(json.dumps(document) + "\n")
            self._lanes[lane] = [other for other in self._lanes[lane] if other is not item]

    def _note(self, error: Exception) -> None:
        self.reason, self.no_room = one_line(error), isinstance(error, StoreFailure) and error.no_room

    def _failed(self, error: Exception) -> None:
        self._note(error)
        if not self._failures:
            self._say(f"tracking is away, its records are kept on disk and sent later: {self.reason}")
        self._failures += 1
        self._not_before = time.monotonic() + self._backoff.delay(self._failures)

    def _succeeded(self) -> None:
        if self._failures:
            self._say("tracking is back, what was kept is being sent")
        self._failures, self.reason, self.no_room = 0, "", False

    def _say(self, text: str) -> None:
        _log.warning("%s", text)


def _lasting(error: Exception) -> bool:
    """Whether MLflow itself refuses this record; that a run is unknown is a matter of the whole run."""
    return isinstance(error, StoreFailure) and error.kind is Failure.INVALID


class Sender:
    """A thread that carries records from the journal to the store.

    Args:
        delivery: The lanes, and the store behind them.
        patience: How long things may wait.
        before: Called in the thread before the run is opened: sends what earlier attempts have left, and returns
            whether nothing of it is left.
        alive: Called in the thread now and then, to show that the run is alive.
    """

    def __init__(
        self,
        delivery: Delivery,
        patience: Patience,
        before: Callable[[], bool] = lambda: True,
        alive: Callable[[], None] = lambda: None,
    ) -> None:
        self._delivery = delivery
        self._patience = patience
        self._before = before
        self._alive = alive
        self._renewed = time.monotonic()
        self._ready = False
        self._changed = threading.Condition()
        self._passes = 0
        self._hurry = True
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="gaitway-tracking", daemon=True)
        self._thread.start()

    def add(self, record: Record) -> int:
        """Take a record and return its index in its lane: it is on disk when this returns, and sent soon."""
        index = self._delivery.add(record)
        if not isinstance(record, Metrics):
            with self._changed:
                self._hurry = True
                self._changed.notify_all()
        return index

    def wait_opened(self, timeout: float) -> bool:
        """Wait until the run is open or its opening has failed, and return whether it is open.

        Args:
            timeout: Longest wait [s].
        """
        with self._changed:
            self._changed.wait_for(lambda: self._delivery.opened or self._delivery.refusal is not None, timeout)
        return self._delivery.opened

    def drain(self, timeout: float) -> bool:
        """Wait until everything has been sent; return whether it has.

        A store whose disk is full is asked once more, and not waited for.

        Args:
            timeout: Longest wait for a server that is away [s]; uploads that are under way get
                :data:`BUSY_FACTOR` times as long.
        """
        start = time.monotonic()
        with self._changed:
            enough = self._passes + 2  # the first may have begun before
            self._hurry = True
            self._delivery.retry_now()
            self._changed.notify_all()
            while self._delivery.count:
                allowed = timeout * (1 if self._delivery.away else BUSY_FACTOR)
                left = start + allowed - time.monotonic()
                if left <= 0 or (self._delivery.no_room and self._passes >= enough):
                    return False
                self._changed.wait(min(left, 0.2))
        return True

    def stop(self) -> None:
        """Stop sending; what is left stays in the journal."""
        with self._changed:
            self._stopping = self._delivery.stopped = True
            self._changed.notify_all()
        self._thread.join(timeout=1.0)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._hurry or self._stopping, self._pause())
                if self._stopping:
                    return
                self._hurry = False
            self._ready = self._ready or self._before()
            if self._ready:
                self._delivery.work()
                self._renew()
            with self._changed:
                self._passes += 1
                self._changed.notify_all()

    def _pause(self) -> float:
        """Return how long to gather records before the next sending [s]."""
        asked = self._delivery.pause
        return max(0.01, self._patience.flush if asked is None else min(self._patience.flush, asked))

    def _renew(self) -> None:
        if self._delivery.opened and time.monotonic() - self._renewed >= self._patience.renew:
            self._renewed = time.monotonic()
            try:
                attempt(self._alive)
            except Superseded as error:
                self._delivery.stand_back(error)
            except StoreFailure:
                return  # it is shown again at the next renewal
