"""The processors that are there to be used. Standard library only."""

from __future__ import annotations

import os


def available_cpus() -> int:
    """Return how many CPUs this process may use; a container's share may be less than the machine's."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
