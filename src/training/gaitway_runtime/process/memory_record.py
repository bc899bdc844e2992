"""Record of attempts that ended with their memory full, kept beside the checkpoints. Standard library only.

A platform calls a container that ran out of memory evicted and starts it again, and it runs out again. The record goes
with the checkpoints from attempt to attempt, so that a job that gets nowhere for lack of memory ends by itself.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

from ..spec.errors import JobFailed
from ..spec.result import write_json

MEMORY_FILE = "memory.json"

FULL = 0.9
"""Share of the limit from which on memory counts as full."""

MOST_ENDS = 2
"""Attempts in a row that may end so without a new checkpoint."""


@dataclass(frozen=True)
class MemoryRecord:
    """What an attempt records of its memory, for the next one."""

    run_id: str
    ends: int = 0
    """Attempts in a row, before this one, that ended full and without a new checkpoint."""
    newest: int = -1
    """Iteration of the newest checkpoint when this attempt began; -1 for none."""
    used: int = 0
    limit: int = 0

    @property
    def full(self) -> bool:
        """Whether the memory was full when the attempt was last heard of."""
        return self.limit > 0 and self.used >= FULL * self.limit

    def write(self, folder: Path) -> None:
        """Write the record beside the checkpoints."""
        write_json(asdict(self), folder / MEMORY_FILE)


def next_record(earlier: Path | None, run_id: str, newest: int) -> MemoryRecord:
    """Return the record that an attempt begins with.

    Args:
        earlier: Folder with what the attempts before it have kept; None where nothing is.
        run_id: Id of the run; a record of another run counts for nothing.
        newest: Iteration of the newest checkpoint; -1 for none.

    Raises:
        JobFailed: The attempts before it got nowhere for lack of memory.
    """
    found = _read(earlier / MEMORY_FILE) if earlier else None
    if found is None or found.run_id != run_id or not found.full:
        return MemoryRecord(run_id, newest=newest)
    ends = found.ends + 1 if newest <= found.newest else 0
    if ends >= MOST_ENDS:
        room = f"{found.used / 2**30:.1f} of {found.limit / 2**30:.1f} GiB were in use"
        raise JobFailed(
            f"it ran out of memory {ends} times in a row without a new checkpoint ({room})",
            source="the attempts before this one",
            hint="ask for more with --memory, or for fewer environments with --num-envs",
        )
    return MemoryRecord(run_id, ends=ends, newest=newest)


def record_use(folder: Path, used: int, limit: int) -> None:
    """Record the memory of this attempt, where it has a record and that says something else so far."""
    known = _read(folder / MEMORY_FILE)
    if known is None:
        return
    now = replace(known, used=used, limit=limit)
    if now.full != known.full:
        now.write(folder)


def _read(path: Path) -> MemoryRecord | None:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        values = {field.name: document[field.name] for field in fields(MemoryRecord)}
        return MemoryRecord(str(values.pop("run_id")), **{name: int(value) for name, value in values.items()})
    except (OSError, ValueError, TypeError, KeyError):
        return None
