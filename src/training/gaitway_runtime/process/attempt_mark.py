"""Marker beside the checkpoints that a platform keeps: which run they are of, and which attempt adds to them.

A platform that starts a job again may have lost touch with the attempt before, which then still runs. Each attempt
leaves its marker when it begins; one that finds another's has been replaced and adds nothing more. Standard library
only.
"""

from __future__ import annotations

import json
import uuid
from dataclasses import asdict, dataclass, field
from pathlib import Path

from ..spec.result import write_json

ORIGIN_FILE = "origin.json"
"""File of the marker."""


@dataclass(frozen=True)
class AttemptMark:
    """Run and attempt that the checkpoints in a folder are of."""

    run_id: str
    attempt: str = field(default_factory=lambda: uuid.uuid4().hex)
    """Unique in the world; empty in markers of older releases."""

    def write(self, folder: Path) -> None:
        """Write the marker into a folder.

        Raises:
            OSError: It cannot be written.
        """
        write_json(asdict(self), folder / ORIGIN_FILE)

    @classmethod
    def read(cls, folder: Path) -> AttemptMark | None:
        """Return the marker in a folder, or None."""
        try:
            found = json.loads((folder / ORIGIN_FILE).read_text(encoding="utf-8"))
            return cls(str(found["run_id"]), str(found.get("attempt", "")))
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return None

    def replaced_by(self, found: AttemptMark | None) -> bool:
        """Return whether a marker is another attempt's: this one had left its own there."""
        return found is not None and found.attempt not in ("", self.attempt)
