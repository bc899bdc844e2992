"""Group of the processes that train together, the rank of each, and its share of a node's processors.

Whoever starts the processes (our launcher, torchrun, Azure ML) sets PyTorch's variables.

Rank 0 acts for all: it alone tracks, publishes, registers, writes ``result.json`` and fills the log. The others write
to ``outputs/ranks/<rank>/``. All start from the same bytes, stop at the same iteration, check that their weights are
still the same, and end together when one of them fails, for the reason that the first of them had. A group of one
answers at once.
"""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from ..process import waiting
from ..process.machine import usable
from ..spec.errors import JobFailed, UsageError

if TYPE_CHECKING:
    import torch

    from .failures import FailureMonitor


RANKS_FOLDER = "ranks"
"""Below the job's outputs: one folder for each process but rank 0."""


@dataclass(frozen=True)
class Rank:
    """The place of a process among those that train together; a process without others by default."""

    number: int = 0
    """Counted over all nodes."""
    local: int = 0
    """Counted on this node; the index of its GPU."""
    world: int = 1
    """Processes on all nodes."""
    local_world: int = 1
    """Processes on this node."""

    @property
    def several(self) -> bool:
        """Whether there are others."""
        return self.world > 1

    @property
    def several_nodes(self) -> bool:
        """Whether some of the others are on another node."""
        return self.world > self.local_world

    @property
    def first(self) -> bool:
        """Whether this is rank 0."""
        return self.number == 0

    def device(self, asked: str) -> str:
        """Return the device to use where ``asked`` was requested: of several processes each takes its own GPU."""
        return f"cuda:{self.local}" if self.several and asked.startswith("cuda") else asked

    def folder(self, output_dir: Path) -> Path:
        """Return where this process writes: the job's output folder, or one of its own below it."""
        return output_dir if self.first else output_dir / RANKS_FOLDER / str(self.number)

    def __str__(self) -> str:
        return f"process {self.number + 1} of {self.world}"


ALONE = Rank()
"""A process without others."""


def rank_from(environ: Mapping[str, str]) -> Rank:
    """Return the rank that an environment describes.

    Raises:
        UsageError: It contradicts itself.
    """
    world = count(environ, "WORLD_SIZE", 1)
    if world <= 1:
        return ALONE
    number, local = count(environ, "RANK", 0), count(environ, "LOCAL_RANK", 0)
    if number >= world:
        raise UsageError(f"RANK is {number} of {world} processes, which are counted from 0", source="env RANK")
    return Rank(number, local, world, count(environ, "LOCAL_WORLD_SIZE", 1))


def current() -> Rank:
    """Return the rank of this process.

    Raises:
        UsageError: The environment contradicts itself.
    """
    return rank_from(os.environ)


@contextlib.contextmanager
def hidden_group() -> Iterator[None]:
    """Hide from a library that there are several processes while it is imported.

    skrl joins a group of its own (NCCL) as soon as it is imported; gaitway joins one itself.
    """
    world = os.environ.pop("WORLD_SIZE", None)
    try:
        yield
    finally:
        if world is not None:
            os.environ["WORLD_SIZE"] = world


def count(environ: Mapping[str, str], name: str, default: int) -> int:
    """Return the number that a variable holds.

    Raises:
        UsageError: It holds something else.
    """
    text = environ.get(name) or str(default)
    if not text.isdecimal():
        raise UsageError(f"{name} is not a count: '{text}'", source=f"env {name}")
    return int(text)


def available_cpus() -> int:
    """Return how many CPUs this process may use.

    A container's share may be less than the machine's, and of several processes on a node each has a part.
    """
    return max(1, usable().count // current().local_world)


DRIFT = 1e-3
"""Largest relative difference between two processes' weights: GPUs of one kind do not differ, others in last bits."""


class Group:
    """The processes that train together. Every question is collective: each process must ask it.

    Args:
        rank: The rank of this process.
        monitor: Watches the others; None in a group of one.
    """

    def __init__(self, rank: Rank = ALONE, monitor: FailureMonitor | None = None) -> None:
        self.rank = rank
        self._monitor = monitor
        self.joined = monitor is not None
        """Whether tensors can be exchanged: from :func:`join` to :meth:`leave`."""

    def leave(self) -> None:
        """Leave the group once the training is done; what a process does later does not concern the others."""
        if self.joined:
            import torch.distributed as distributed

            # Rank 0's store must be there until the last has seen that all is well.
            self.agree(False)
            distributed.destroy_process_group()
            self.joined = False

    def await_rank_zero(self) -> None:
        """Wait until rank 0 has nothing more to do, after all have left."""
        if self._monitor is not None:
            self._monitor.await_rank_zero()

    def agree(self, flag: bool) -> bool:
        """Return whether the flag is set in any process."""
        if not self.joined:
            return flag
        import torch

        count = torch.tensor([int(flag)])
        torch.distributed.all_reduce(count)
        return bool(count.item())

    def share(self, content: bytes) -> bytes:
        """Return rank 0's content to every process."""
        if not self.joined:
            return content
        import torch

        size = torch.tensor([len(content)])
        torch.distributed.broadcast(size, src=0)
        data = torch.zeros(int(size.item()), dtype=torch.uint8)
        if content and self.rank.first:
            data.copy_(torch.frombuffer(bytearray(content), dtype=torch.uint8))
        torch.distributed.broadcast(data, src=0)
        return data.numpy().tobytes()

    def collect(self, content: bytes) -> list[bytes]:
        """Return every process's content to every process, by rank."""
        if not self.joined:
            return [content]
        import torch

        sizes = [torch.zeros(1, dtype=torch.int64) for _ in range(self.rank.world)]
        torch.distributed.all_gather(sizes, torch.tensor([len(content)]))
        longest = max(int(size.item()) for size in sizes)
        mine = torch.zeros(longest, dtype=torch.uint8)
        if content:
            mine[: len(content)] = torch.frombuffer(bytearray(content), dtype=torch.uint8)
        found = [torch.zeros(longest, dtype=torch.uint8) for _ in sizes]
        torch.distributed.all_gather(found, mine)
        return [data[: int(size.item())].numpy().tobytes() for data, size in zip(found, sizes, strict=True)]

    def check_same(self, weights: Mapping[str, Any]) -> None:
        """Check that every process has the same weights.

        Args:
            weights: Tensors in nested mappings. Statistics of observations are left out: old releases keep one set in
                each process.

        Raises:
            JobFailed: They have drifted apart: what they learned is not one policy.
        """
        if not self.joined:
            return
        import torch

        mine = torch.cat([tensor.detach().cpu().double().flatten() for tensor in _weights(weights)])
        first = mine.clone()
        torch.distributed.broadcast(first, src=0)
        if self.agree(not torch.allclose(mine, first, rtol=DRIFT, atol=DRIFT)):
            raise JobFailed(
                "the processes have drifted apart: their weights differ after training",
                hint="gradients were not exchanged; train on one GPU, and report this with params/agent.yaml",
            )


@contextlib.contextmanager
def join(rank: Rank) -> Iterator[Group]:
    """Join the processes that train together, until :meth:`Group.leave` or the end.

    When another process has failed and this one does not end within :data:`~.failures.GRACE_S`, it is ended as one that
    hangs.

    Raises:
        OtherRankFailed: Another process failed first. Raised in place of the error that followed from it here.
        Interrupted: The job was asked to stop before the processes met.
    """
    if not rank.several:
        yield Group(rank)
        return
    import torch.distributed as distributed

    from .failures import FailureMonitor

    with waiting.ending_when_stopped():
        distributed.init_process_group(_backend(rank), rank=rank.number, world_size=rank.world)
        monitor = FailureMonitor(rank)
    group = Group(rank, monitor)
    with contextlib.ExitStack() as stack:
        stack.callback(monitor.end)
        stack.push(functools.partial(_name_first_failure, group, monitor))
        yield group
        group.leave()


def _name_first_failure(
    group: Group,
    monitor: FailureMonitor,
    kind: type[BaseException] | None,
    error: BaseException | None,
    trace: TracebackType | None,
) -> None:
    """Put another process's failure in place of the error that followed from it here.

    An error after the training does not concern the others.
    """
    if isinstance(error, (Exception, KeyboardInterrupt)) and group.joined:
        raise monitor.first_failure(error) from error


def _backend(rank: Rank) -> str:
    """Return how tensors are exchanged: by gloo, but those on a GPU by NCCL where each process has its own GPU."""
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
