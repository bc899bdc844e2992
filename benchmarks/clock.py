"""Wall and CPU time of a stretch of work."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import psutil


@dataclass(frozen=True)
class Spent:
    """Time that some environment steps took [s]: on the clock, and on all CPUs together."""

    steps: int
    wall: float
    cpu: float

    @property
    def per_second(self) -> float:
        """Environment steps per second."""
        return self.steps / self.wall

    @property
    def cpu_us(self) -> float:
        """CPU time of one environment step [us]."""
        return 1e6 * self.cpu / self.steps


def spend(steps: int, work: Callable[[], None]) -> Spent:
    """Time a piece of work that does ``steps`` environment steps, child processes included."""
    wall, cpu = time.perf_counter(), _cpu()
    work()
    return Spent(steps, time.perf_counter() - wall, _cpu() - cpu)


def _cpu() -> float:
    children = sum(sum(child.cpu_times()[:2]) for child in psutil.Process().children(recursive=True))
    return time.process_time() + children
