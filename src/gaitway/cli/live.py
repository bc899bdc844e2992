"""Following a run: its log as it grows, and on a terminal one live line with progress, speed and time left."""

from __future__ import annotations

import json
import re
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..handles import Run
from ..platforms.base import StatusReport
from . import render

PLAIN_PROGRESS = re.compile(r".+ \d+/\d+( \| .*)?")
"""A progress line of the runtime (``gaitway_runtime.progress``), which the live line stands for."""

REFRESH_S = 0.2
"""Pause between two looks at the progress [s]."""


def follow(run: Run) -> StatusReport:
    """Show a run's log, and its progress where it can be seen, until it ends."""
    if not render.is_terminal(sys.stderr) or run.platform.limits.remote:
        return run.follow(render.say)
    with _live_line(run.run_dir / "outputs" / "progress.jsonl") as say:
        return run.follow(lambda line: None if PLAIN_PROGRESS.fullmatch(line) else say(line))


@contextmanager
def _live_line(progress_file: Path) -> Iterator[Any]:
    """Show a live line fed from a file; yields the function that prints above it."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    console = Console(stderr=True, highlight=False, soft_wrap=True)
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(20),
        TextColumn("{task.fields[words]}"),
        console=console,
        transient=True,
        refresh_per_second=5,
    )
    over = threading.Event()
    feeder = threading.Thread(target=_feed, args=(bar, progress_file, over), daemon=True)
    with bar:
        feeder.start()
        try:
            yield lambda line: console.print(line, markup=False)
        finally:
            over.set()
            feeder.join()


def _feed(bar: Any, progress_file: Path, over: threading.Event) -> None:
    """Bring the newest report of a growing file onto the bar until it is over."""
    task = bar.add_task("starting", total=None, words="")
    position = 0
    while not over.wait(REFRESH_S):
        report, position = _newest(progress_file, position)
        if report:
            bar.update(
                task,
                description=report.get("phase", ""),
                completed=report.get("iteration", 0),
                total=report.get("total"),
                words=words(report),
            )


def _newest(path: Path, position: int) -> tuple[Mapping[str, Any] | None, int]:
    """Return the last whole report after a position of the file, and the position behind it."""
    try:
        with path.open("rb") as stream:
            stream.seek(position)
            text = stream.read()
        whole = text[: text.rfind(b"\n") + 1]
        return (json.loads(whole.splitlines()[-1]) if whole else None), position + len(whole)
    except (OSError, ValueError):
        return None, position


def words(report: Mapping[str, Any]) -> str:
    """Return a progress report as it stands beside the bar."""
    formats = (
        ("reward", "reward {:.2f}"),
        ("episode_length", "length {:.0f}"),
        ("steps_per_s", "{:,.0f} steps/s"),
    )
    parts = [f"{report['iteration']}/{report['total']}"] if "iteration" in report else []
    parts += [text.format(report[name]) for name, text in formats if name in report]
    if report.get("eta_s"):
        parts.append(f"{render.duration(report['eta_s'])} left")
    return " · ".join(parts)
