"""Processors and memory that this process may use. Standard library only."""

from __future__ import annotations

import contextlib
import math
import os
import re
from dataclasses import dataclass
from pathlib import Path

CGROUP = Path("/sys/fs/cgroup")
_MEMORY_LIMIT = CGROUP / "memory.max"


@dataclass(frozen=True)
class Processors:
    """Processors that this process may use."""

    count: int
    why: str = ""
    """Why they are few: fewer than the machine has, or a single one; empty where neither."""


def usable(root: Path | None = None) -> Processors:
    """Return the processors that this process may use, also where it is in a container with a share of the machine's.

    Threads beyond a share are not refused: the kernel lets all of them stand still for a part of the time.

    Args:
        root: Where control groups are mounted; ``/sys/fs/cgroup`` when omitted.
    """
    machine = os.cpu_count() or 1
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else machine
    share = _share(root or CGROUP)
    if share is not None and math.ceil(share) < allowed:
        return Processors(max(1, math.ceil(share)), f"the container has a share of {share:g} of {allowed} processors")
    if allowed < machine:
        return Processors(allowed, f"this process is bound to {allowed} of {machine} processors")
    return Processors(machine, "the machine has one processor" if machine == 1 else "")


def _share(root: Path) -> float | None:
    """Return the processors' time that the container gets in a second of the clock [s]; None without a limit."""
    for files in (("cpu.max",), ("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us")):
        with contextlib.suppress(OSError, ValueError, ZeroDivisionError):  # "max" is no number either
            most, period = " ".join((root / name).read_text() for name in files).split()
            return int(most) / int(period) if int(most) > 0 else None
    return None


@dataclass(frozen=True)
class Room:
    """Memory at the time that an allocation failed [bytes]."""

    what: str
    """``the GPU's memory`` or ``memory``."""
    taken: int
    total: int


def free_memory() -> int:
    """Return the memory that this process can still take [bytes]."""
    room = memory()
    return max(0, room.total - room.taken)


def memory() -> Room:
    """Return this process's share of the machine's memory, or of its container's."""
    available = _field(Path("/proc/meminfo"), "MemAvailable")
    taken = _field(Path("/proc/self/status"), "VmRSS")
    total = taken + available
    if _MEMORY_LIMIT.exists() and (limit := _MEMORY_LIMIT.read_text().strip()).isdecimal():
        total = min(total, int(limit))
    return Room("memory", taken, total)


def _field(path: Path, name: str) -> int:
    """Return a field of a file in /proc, whose unit is kB [bytes]; 0 where there is none."""
    try:
        found = re.search(rf"^{name}:\s+(\d+) kB", path.read_text(), re.MULTILINE)
    except OSError:
        return 0
    return int(found[1]) * 1024 if found else 0
