"""Sender: the thread that carries the records of a journal to their store."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from ..stores.mlflow_client import StoreFailure, attempt
from .attempts import Superseded
from .delivery import Delivery, Patience
from .journal import Metrics, Record

BUSY_FACTOR = 20
"""How much longer the end of a run waits for a server that is taking what it is sent than for one that is away."""


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

        Args:
            timeout: Longest wait for a server that is away [s]; uploads that are under way get
                :data:`BUSY_FACTOR` times as long.
        """
        start = time.monotonic()
        with self._changed:
            self._hurry = True
            self._delivery.retry_now()
            self._changed.notify_all()
            while self._delivery.count:
                allowed = timeout * (1 if self._delivery.away else BUSY_FACTOR)
                left = start + allowed - time.monotonic()
                if left <= 0:
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
