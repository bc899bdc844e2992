"""Processors that this process may use. Standard library only."""

from __future__ import annotations

import contextlib
import math
import os
from dataclasses import dataclass
from pathlib import Path

CGROUP = Path("/sys/fs/cgroup")


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
