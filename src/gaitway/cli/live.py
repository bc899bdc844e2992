"""Following a run: its log as it grows, and on a terminal one live line with progress, speed and time left."""

from __future__ import annotations

import re
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gaitway_runtime.spec.files import PROGRESS_FILE

from ..platforms.base import StatusReport
from ..progress import ProgressRecord, newest_report
from ..run_handle import Run
from . import output

PLAIN_PROGRESS = re.compile(r".+ \d+/\d+( \| .*)?")
"""A progress line of the runtime (``gaitway_runtime.process.lifecycle``), which the live line stands for."""

REFRESH_S = 0.2
"""Pause between two looks at the progress [s]."""


def follow(run: Run) -> StatusReport:
    """Show a run's log, and its progress where it can be seen, until it ends."""
    if not output.is_terminal(sys.stderr) or run.platform.limits.remote:
        return run.follow(lambda line: output.say(line, raw=True))
    with _live_line(run.run_dir / "outputs" / PROGRESS_FILE) as say:
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
            yield lambda line: console.print(output.harmless(line), markup=False)
        finally:
            over.set()
            feeder.join()


def _feed(bar: Any, progress_file: Path, over: threading.Event) -> None:
    """Bring the newest report of a growing file onto the bar until it is over."""
    task = bar.add_task("starting", total=None, words="")
    position = 0
    while not over.wait(REFRESH_S):
        report, position = newest_report(progress_file, position)
        if report:
            bar.update(
                task,
                description=report.get("phase", ""),
                completed=report.get("iteration", 0),
                total=report.get("total"),
                words=words(report),
            )


def words(report: ProgressRecord) -> str:
    """Return a progress report as it stands beside the bar."""
    parts = [f"{report['iteration']}/{report['total']}"] if "iteration" in report else []
    judged = report.get("evaluation", {})
    if "mean_reward" in judged:
        parts.append(f"reward {judged['mean_reward']:.2f} after {judged.get('iteration', 0):.0f}")
    if "reward" in report:
        parts.append(f"training reward {report['reward']:.2f}")
    if "episode_length" in report:
        parts.append(f"length {report['episode_length']:.0f}")
    if "steps_per_s" in report:
        parts.append(f"{report['steps_per_s']:,.0f} steps/s")
    if report.get("eta_s"):
        parts.append(f"{output.duration(report['eta_s'])} left")
    if report.get("course"):
        parts.append(report["course"])
    return " · ".join(parts)
