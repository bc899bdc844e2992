"""The processors that are there to be used. Standard library only."""

from __future__ import annotations

import os

from . import ranks


def available_cpus() -> int:
    """Return how many CPUs this process may use.

    A container's share may be less than the machine's, and of several processes that train together each has its share.
    """
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, count // ranks.current().local_world)
