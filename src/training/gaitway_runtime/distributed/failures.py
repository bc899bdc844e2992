"""Failures in a group: each process learns of the first one, and ends with its reason."""

from __future__ import annotations

import contextlib
import datetime
import json
import os
import re
import threading
import time

from ..process import lifecycle
from ..spec.errors import GaitwayError, JobFailed, PlatformError
from .group import Rank

FAILURE = "gaitway/failure"
"""Key of the first failure in the store that all processes reach."""

ENDED = "gaitway/ended"
"""Key that says that rank 0 has nothing more to do."""

POLL_S = 0.5
"""Pause between two looks for the failure of another process [s]."""

GRACE_S = 20.0
"""Time a process has to end by itself after another one has failed [s]: its work may hang in an exchange for ever."""

RANK_ZERO_S = 600.0
"""Time that the others wait for rank 0 to save and publish [s]; platforms give less."""

_PEER_LOST = re.compile(
    r"connection (closed|reset)|broken pipe|socket closed|remote process exited|ncclRemoteError", re.IGNORECASE
)
"""Words of gloo and NCCL for an exchange whose other side is gone."""


class OtherRankFailed(GaitwayError):
    """Another process failed first; its error is the reason why this one ends."""


class FailureMonitor:
    """Thread that looks for the failure of another process and ends this one if it does not end by itself.

    Args:
        rank: The rank of this process.
    """

    def __init__(self, rank: Rank) -> None:
        from torch.distributed import TCPStore  # type: ignore[attr-defined]

        # A connection of its own to the store by which the processes met: the other one may be waiting.
        self._store = TCPStore(
            os.environ["MASTER_ADDR"],
            int(os.environ["MASTER_PORT"]),
            is_master=False,
            timeout=datetime.timedelta(seconds=GRACE_S),
        )
        self._rank = rank
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Stop looking; rank 0 tells the others."""
        self._over.set()
        self._thread.join()
        if self._rank.first:
            with contextlib.suppress(RuntimeError):  # a launcher that held the store may be gone
                self._store.set(ENDED, "")

    def await_rank_zero(self) -> None:
        """Wait until rank 0 has ended, for :data:`RANK_ZERO_S` at most."""
        self._over.set()
        deadline = time.monotonic() + RANK_ZERO_S
        with contextlib.suppress(RuntimeError):  # the store may end with it
            while not self._store.check([ENDED]) and time.monotonic() < deadline:
                time.sleep(POLL_S)

    def first_failure(self, error: BaseException) -> BaseException:
        """Report an error unless another process was first; return the error to end with."""
        self.end()
        known = error if isinstance(error, GaitwayError) else own_failure(self._rank, error)
        mine = json.dumps({"rank": self._rank.number, **known.as_dict()})
        try:
            first = self._store.compare_set(FAILURE, "", mine)
        except RuntimeError:
            return rank_zero_lost(self._rank) if known is not error else error
        return _other_failure(self._rank, first) or error

    def _run(self) -> None:
        while not self._over.wait(POLL_S):
            found = self._failure()
            if found is not None:
                if not self._over.wait(GRACE_S):
                    lifecycle.give_up(found)
                return

    def _failure(self) -> GaitwayError | None:
        try:
            return _other_failure(self._rank, self._store.get(FAILURE)) if self._store.check([FAILURE]) else None
        except RuntimeError:
            return rank_zero_lost(self._rank)


def own_failure(rank: Rank, error: BaseException) -> GaitwayError:
    """Return what an error of a library amounts to: where a node was lost, the platform can start all again."""
    text = f"{type(error).__name__}: {error}"
    if rank.several_nodes and _PEER_LOST.search(text):
        return PlatformError("another node of the training is gone", source=" ".join(text.split())[:300])
    return JobFailed(text)


def rank_zero_lost(rank: Rank) -> OtherRankFailed:
    """Return the error of a process that has lost rank 0, which holds the store."""
    error = OtherRankFailed("the first process is gone", hint="its log says why")
    if rank.number >= rank.local_world:
        error.exit_code = PlatformError.exit_code
    return error


def _other_failure(rank: Rank, text: bytes) -> OtherRankFailed | None:
    """Return another process's failure as an error of this one; None where it is this process's own."""
    found = json.loads(text)
    if found["rank"] == rank.number:
        return None
    reported = GaitwayError.from_dict(found)
    where = Rank(found["rank"], world=rank.world)
    error = OtherRankFailed(
        f"{where}: {reported.message}", source=reported.source, allowed=reported.allowed, hint=reported.hint
    )
    error.exit_code = int(found["exit_code"])
    return error
