"""Record of what was submitted to OSMO, in the run's folder."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gaitway_runtime.spec.result import write_json

FOLDER = "osmo"
"""Folder of a run that holds what was submitted."""

RECORD_FILE = "submitted.json"


def read_record(run_dir: Path) -> dict[str, Any]:
    """Return the record of a submission; nothing where it cannot be read."""
    with contextlib.suppress(OSError, ValueError):
        found: dict[str, object] = json.loads((run_dir / FOLDER / RECORD_FILE).read_text(encoding="utf-8"))
        return found
    return {}


def write_record(run_dir: Path, document: Mapping[str, object]) -> None:
    """Write the record of a submission."""
    write_json(document, run_dir / FOLDER / RECORD_FILE)


def workflows_of(run_dir: Path, current: str) -> list[str]:
    """Return the workflows that have done parts of a run, oldest first: a restart is a workflow of its own."""
    earlier = [str(name) for name in read_record(run_dir).get("earlier", [])]
    return [*(name for name in earlier if name != current), current]
