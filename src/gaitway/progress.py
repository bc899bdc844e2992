"""Progress of a run on this machine, as its job reports it while it runs. Reads files alone."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TypedDict, cast

from gaitway_runtime.spec.files import PROGRESS_FILE

TRACKED = re.compile(r"^View run at: (\S+)", re.MULTILINE)
"""Line of a job's log that tells where its MLflow run can be seen."""
TAIL_BYTES = 1 << 16
"""Part of a file's end that holds its last report [bytes]."""


class ProgressRecord(TypedDict, total=False):
    """A report of a job: a line of ``progress.jsonl``."""

    time: float
    phase: str
    iteration: int
    total: int
    steps: float
    reward: float
    episode_length: float
    steps_per_s: float
    eta_s: float
    evaluation: Mapping[str, float]
    """The newest interim evaluation: its iteration, counted from one, and what it measured."""
    course: str
    """Whether the training is on its way, in a few words."""


def newest_report(path: Path, position: int = 0) -> tuple[ProgressRecord | None, int]:
    """Return the last whole report after a position of a progress file, and the position behind it."""
    try:
        with path.open("rb") as stream:
            stream.seek(position)
            text = stream.read()
    except OSError:
        return None, position
    whole = text[: text.rfind(b"\n") + 1]
    return (_record(whole.splitlines()[-1]) if whole else None), position + len(whole)


def last_report(run_dir: Path) -> ProgressRecord | None:
    """Return the last report of a run of this machine; None where it has made none."""
    path = run_dir / "outputs" / PROGRESS_FILE
    try:
        size = path.stat().st_size
    except OSError:
        return None
    return newest_report(path, max(0, size - TAIL_BYTES))[0]


def reports(run_dir: Path) -> Iterator[ProgressRecord]:
    """Yield all reports of a run of this machine, oldest first."""
    try:
        lines = (run_dir / "outputs" / PROGRESS_FILE).read_bytes().splitlines()
    except OSError:
        return
    yield from (record for record in map(_record, lines) if record)


def tracking_url(run_dir: Path) -> str | None:
    """Return where the MLflow run of a run of this machine can be seen, once its log tells."""
    try:
        text = (run_dir / "log.txt").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    found = TRACKED.search(text)
    return found[1] if found else None


def _record(line: bytes) -> ProgressRecord | None:
    """Return the report that a line holds; the last line of a run that was killed may be half of one."""
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, Mapping):
        return None
    known = {name: found[name] for name in ProgressRecord.__annotations__ if name in found}
    return cast(ProgressRecord, {name: value for name, value in known.items() if _fits(name, value)})


def _fits(name: str, value: object) -> bool:
    """Whether a value is what a report has under a name: a word for the phase, else a finite number."""
    if name in ("phase", "course"):
        return isinstance(value, str)
    if name == "evaluation":
        return isinstance(value, Mapping) and all(_fits(str(key), number) for key, number in value.items())
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
