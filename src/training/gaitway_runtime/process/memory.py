"""Record of how full a container's memory is, as lines of log. Standard library only.

A container that runs out of memory is killed without a word, and platforms call that an eviction. The last line that
it wrote of its memory tells the two apart.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

from ..spec.marks import MEMORY_MARK
from .memory_record import record_use
from .repeating import repeating

FIRST = 0.8
"""Share of the limit from which on memory is recorded."""

STEP = 0.02
"""Share of the limit by which it has to grow for another line."""

LOOK_EVERY_S = 1.0

CGROUP = Path("/sys/fs/cgroup")


def use(root: Path = CGROUP) -> tuple[int, int] | None:
    """Return the memory that this container uses and its limit [bytes]; None where there is no limit.

    Pages of files that the kernel can drop do not count as used.
    """
    for folder, current, limit, cache in (
        (root, "memory.current", "memory.max", "inactive_file"),
        (root / "memory", "memory.usage_in_bytes", "memory.limit_in_bytes", "total_inactive_file"),
    ):
        try:
            most = (folder / limit).read_text().strip()
            used = int((folder / current).read_text())
            droppable = _field(folder / "memory.stat", cache)
        except (OSError, ValueError):
            continue
        # Version 1 writes a number near 2^63 where there is no limit.
        if most.isdecimal() and int(most) < 2**60:
            return max(0, used - droppable), int(most)
    return None


@contextlib.contextmanager
def recorded(folder: Path, root: Path = CGROUP) -> Iterator[None]:
    """Record the memory of the container while it fills: in the log, and beside the checkpoints in a folder."""
    if use(root) is None:
        yield
        return
    wanted = FIRST

    def look() -> float:
        nonlocal wanted
        found = use(root)
        if found:
            record_use(folder, *found)
        if found and found[0] >= wanted * found[1]:
            print(f"{MEMORY_MARK} {json.dumps({'used': found[0], 'limit': found[1]})}", flush=True)
            wanted = found[0] / found[1] + STEP
        return LOOK_EVERY_S

    with repeating(look, LOOK_EVERY_S):
        yield


def _field(path: Path, name: str) -> int:
    for line in path.read_text().splitlines():
        key, _, value = line.partition(" ")
        if key == name:
            return int(value)
    return 0
