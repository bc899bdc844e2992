"""What the processes of one training do together beside the learner's own exchange of gradients.

They start from the same bytes, stop at the same iteration, find out whether their weights are still the same, and end
together when one of them fails, for the reason that the first of them had. Alone, every question is answered at once.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import os
import threading
import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from . import ranks, watchdog
from .errors import GaitwayError, JobFailed
from .ranks import Rank

if TYPE_CHECKING:
    import torch

FAILURE = "gaitway/failure"
"""Key of the first failure in the store that all processes reach."""

ENDED = "gaitway/ended"
"""Key that says that the first process has nothing more to do."""

LOOK_EVERY_S = 0.5
"""Pause between two looks for the failure of another process [s]."""

GRACE_S = 20.0
"""Time a process has to end by itself after another one has failed [s]: its work may hang in an exchange for ever."""

PATIENCE_S = 600.0
"""Time that the others wait for the first process to save and publish [s]; platforms give less."""

DRIFT = 1e-3
"""Most relative difference between two processes' weights: GPUs of one kind differ in nothing, others in last bits."""


_watches: list[_Watch] = []


class ElsewhereFailed(GaitwayError):
    """Another process failed first; its error is the reason why this one ends."""


@contextlib.contextmanager
def joined() -> Iterator[None]:
    """Join the processes that train together, until :func:`leave` or the end.

    When another process has failed and this one does not end within :data:`GRACE_S`, it is ended as one that hangs.

    Raises:
        ElsewhereFailed: Another process failed first. Raised in place of the error that followed from it here.
    """
    rank = ranks.current()
    if not rank.several:
        yield
        return
    import torch.distributed as distributed

    distributed.init_process_group(_backend(rank), rank=rank.number, world_size=rank.world)
    watch = _Watch(rank)
    _watches[:] = [watch]
    try:
        yield
        leave()
    except (Exception, KeyboardInterrupt) as error:
        if not _together():
            raise  # what failed came after the training: it is this process's own affair
        raise watch.first_failure(error) from error
    finally:
        watch.end()
        _watches.clear()


def leave() -> None:
    """Part, once the training is done. Every process must call it; what one does later is its own affair."""
    if _together():
        import torch.distributed as distributed

        # The first process's store must be there until the last has seen that all is well.
        agree(False)
        distributed.destroy_process_group()


def await_first() -> None:
    """Wait until the first process has nothing more to do, after all have parted."""
    for watch in _watches:
        watch.await_first()


def agree(flag: bool) -> bool:
    """Return whether the flag is set in any process. Every process must ask."""
    if not _together():
        return flag
    import torch

    count = torch.tensor([int(flag)])
    torch.distributed.all_reduce(count)
    return bool(count.item())


def share(content: bytes) -> bytes:
    """Return the first process's content to every process. Every process must ask."""
    if not _together():
        return content
    import torch

    size = torch.tensor([len(content)])
    torch.distributed.broadcast(size, src=0)
    data = torch.zeros(int(size.item()), dtype=torch.uint8)
    if content and ranks.current().first:
        data.copy_(torch.frombuffer(bytearray(content), dtype=torch.uint8))
    torch.distributed.broadcast(data, src=0)
    return data.numpy().tobytes()


def check_same(weights: Mapping[str, Any]) -> None:
    """Make sure that every process has the same weights. Every process must ask.

    Args:
        weights: Tensors in nested mappings. Statistics of observations are left out, which old releases keep apart.

    Raises:
        JobFailed: They have drifted apart: what they learned is not one policy.
    """
    if not _together():
        return
    import torch

    mine = torch.cat([tensor.detach().cpu().double().flatten() for tensor in _weights(weights)])
    first = mine.clone()
    torch.distributed.broadcast(first, src=0)
    if agree(not torch.allclose(mine, first, rtol=DRIFT, atol=DRIFT)):
        raise JobFailed(
            "the processes have drifted apart: their weights differ after training",
            hint="gradients were not exchanged; train on one GPU, and report this with params/agent.yaml",
        )


class _Watch:
    """Looks, in a thread of its own, for the failure of another process; gives this one up if it does not end then."""

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
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Look no more, and let the others know if this is the first process."""
        self._over.set()
        self._thread.join()
        if self._rank.first:
            with contextlib.suppress(RuntimeError):  # a launcher that held the store may be gone
                self._store.set(ENDED, "")

    def await_first(self) -> None:
        """Wait until the first process has ended, for :data:`PATIENCE_S` at most."""
        self._over.set()
        deadline = time.monotonic() + PATIENCE_S
        with contextlib.suppress(RuntimeError):  # the store may end with it
            while not self._store.check([ENDED]) and time.monotonic() < deadline:
                time.sleep(LOOK_EVERY_S)

    def first_failure(self, error: BaseException) -> BaseException:
        """Tell of an error unless another process was first; return the error to end with."""
        self.end()
        known = error if isinstance(error, GaitwayError) else JobFailed(f"{type(error).__name__}: {error}")
        mine = json.dumps({"rank": self._rank.number, **known.as_dict()})
        try:
            first = self._store.compare_set(FAILURE, "", mine)
        except RuntimeError:
            return _first_is_gone() if known is not error else error
        return _elsewhere(self._rank, first) or error

    def _look(self) -> None:
        while not self._over.wait(LOOK_EVERY_S):
            found = self._found()
            if found is not None:
                if not self._over.wait(GRACE_S):
                    watchdog.give_up(found)
                return

    def _found(self) -> GaitwayError | None:
        try:
            return _elsewhere(self._rank, self._store.get(FAILURE)) if self._store.check([FAILURE]) else None
        except RuntimeError:
            return _first_is_gone()


def _first_is_gone() -> ElsewhereFailed:
    """Return the error of a process that has lost the first one, which holds the store."""
    return ElsewhereFailed("the first process is gone", hint="its log says why")


def _elsewhere(rank: Rank, text: bytes) -> ElsewhereFailed | None:
    """Return another process's failure as an error of this one; None where it is this process's own."""
    found = json.loads(text)
    if found["rank"] == rank.number:
        return None
    told = GaitwayError.from_dict(found)
    where = Rank(found["rank"], world=rank.world)
    error = ElsewhereFailed(f"{where}: {told.message}", source=told.source, allowed=told.allowed, hint=told.hint)
    error.exit_code = int(found["exit_code"])
    return error


def _together() -> bool:
    if not ranks.current().several:
        return False
    import torch.distributed as distributed

    return distributed.is_initialized()


def _backend(rank: Rank) -> str:
    """Return how tensors travel: by gloo, but those on a GPU by NCCL where each process has a GPU of its own."""
    import torch

    if not (torch.cuda.is_available() and torch.distributed.is_nccl_available()):
        return "gloo"
    if rank.local < torch.cuda.device_count():
        torch.cuda.set_device(rank.local)
    return "cpu:gloo,cuda:nccl" if rank.local_world <= torch.cuda.device_count() else "gloo"


def _weights(found: Mapping[str, Any]) -> Iterator[torch.Tensor]:
    import torch

    for name, value in found.items():
        if isinstance(value, Mapping) and "optimizer" not in name:
            yield from _weights(value)
        elif isinstance(value, torch.Tensor) and value.is_floating_point() and "normalizer" not in name:
            yield value
