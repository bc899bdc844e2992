"""What a job costs beside its work: from the command to a training's first iteration, from the last to the result.

    python benchmarks/start.py
    python benchmarks/start.py --python .venv/bin/python --python ../before/.venv/bin/python

Each training is a whole ``gaitway train`` of three iterations of Cartpole on this machine, in a home of its own; the
first one, which fills caches, does not count. ``gaitway validate`` and ``gaitway infer`` then judge and export its
checkpoint. Seconds on the clock say something on a quiet machine; those of the processors hold on a busy one, but do
not tell what is done side by side. Several Pythons take turns.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

ITERATIONS = 3
POLL_S = 0.02
TASK = ("--task", "Isaac-Cartpole-v0")
JOBS = {
    "train": ("--max-iterations", str(ITERATIONS)),
    "validate": ("--eval-episodes", "16"),
    "infer": ("--num-envs", "4", "--max-steps", "50", "--video-length", "0"),
}
"""Jobs that are measured, each as short as it gets."""
COLUMNS = ("start", "end", "whole", "command line", "job", "beside the job")


@dataclass
class Spent:
    """Seconds of one job."""

    whole: float = 0.0
    """From the command to its end, on the clock."""
    start: float | None = None
    """From the command to the first iteration's end, on the clock; None where there is none."""
    end: float | None = None
    """From the last iteration to the end of the command, on the clock."""
    processor: dict[str, float] = field(default_factory=dict)
    """Processor time of the command line, of the job, and of what the job has started."""

    def row(self) -> tuple[float | None, ...]:
        """Return the values in the order of :data:`COLUMNS`."""
        return self.start, self.end, self.whole, *(self.processor.get(name, 0.0) for name in COLUMNS[3:])


def once(python: str, home: Path, kind: str, name: str, *words: str) -> Spent:
    """Do one job and return what it took."""
    run, spent, began = home / "runs" / name, Spent(), time.time()
    command = subprocess.Popen(
        [python, "-m", "gaitway", kind, *TASK, *JOBS[kind], "--name", name, *words],
        cwd=home,  # not in a checkout, whose job would be taken
        env={**os.environ, "GAITWAY_HOME": str(home)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while command.poll() is None:
        _note(spent.processor, command.pid, run / "pid")
        time.sleep(POLL_S)
    ended = time.time()
    if command.returncode not in (0, 5):  # 5: a gate that is not met after three iterations
        raise SystemExit(f"the job ended with {command.returncode}: see {run}/log.txt")
    spent.whole = ended - began
    if kind == "train":
        reports = [json.loads(line) for line in (run / "outputs" / "progress.jsonl").read_text().splitlines()]
        done = [report["time"] for report in reports if "iteration" in report]
        spent.start, spent.end = done[0] - began, ended - done[-1]
    return spent


def _note(times: dict[str, float], command: int, pid_file: Path) -> None:
    """Note the processor times of all processes so far."""
    with contextlib.suppress(psutil.Error):
        times["command line"] = _cpu(psutil.Process(command))
    with contextlib.suppress(psutil.Error, OSError, ValueError):
        job = psutil.Process(int(pid_file.read_text()))
        times["job"] = _cpu(job)
        beside = sum(_cpu(child) for child in job.children(recursive=True))
        times["beside the job"] = max(times.get("beside the job", 0.0), beside)


def _cpu(process: psutil.Process) -> float:
    return float(sum(process.cpu_times()[:2]))


def main() -> None:
    """Do each job a few times and print what each cost, and the medians."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--python", action="append", help="Python that has gaitway; this one if omitted")
    parser.add_argument("--jobs", nargs="+", choices=JOBS, default=list(JOBS))
    asked = parser.parse_args()
    pythons = [os.path.abspath(python) for python in asked.python or [sys.executable]]
    with contextlib.ExitStack() as stack:
        homes = [Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="gaitway-start-"))) for _ in pythons]
        for python, home in zip(pythons, homes, strict=True):
            once(python, home, "train", "warm")
        print(f"load {os.getloadavg()[0]:.1f}; seconds on the clock, then of processors")
        for kind in asked.jobs:
            words = () if kind == "train" else ("--checkpoint-uri", "warm@latest")
            print(f"\n| {kind} | {' | '.join(COLUMNS)} |\n|---|{'---|' * len(COLUMNS)}")
            rows: dict[str, list[Spent]] = {python: [] for python in pythons}
            for number in range(asked.times):
                for python, home in zip(pythons, homes, strict=True):
                    rows[python].append(once(python, home, kind, f"{kind}-{number}", *words))
                    _print(python, [rows[python][-1]])
            for python in pythons:
                _print(f"median: {python}", rows[python])
        print(f"\nload {os.getloadavg()[0]:.1f}")


def _print(title: str, rows: Sequence[Spent]) -> None:
    columns = zip(*(spent.row() for spent in rows), strict=True)
    medians = [
        statistics.median(known) if (known := [x for x in column if x is not None]) else None for column in columns
    ]
    print(f"| {title} | " + " | ".join("" if value is None else f"{value:.2f}" for value in medians) + " |", flush=True)


if __name__ == "__main__":
    main()
