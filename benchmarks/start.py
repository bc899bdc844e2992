"""What a training costs beside its iterations: from the command to the first one, and from the last to the result.

    python benchmarks/start.py

Each is a whole ``gaitway train`` of three iterations of Cartpole on this machine, in a home of its own; the first one,
which fills caches, does not count. Seconds on the clock say something on a quiet machine; those of the processors hold
on a busy one, but do not tell what is done side by side.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

ITERATIONS = 3
POLL_S = 0.02


@dataclass(frozen=True)
class Spent:
    """Seconds of one training."""

    start: float
    """From the command to the first iteration's end, on the clock."""
    end: float
    """From the last iteration to the end of the command, on the clock."""
    command: float
    """Processor time of the command line."""
    job: float
    """Processor time of the job."""
    beside: float
    """Processor time of what the job has started."""


def once(home: Path, name: str) -> Spent:
    """Train once."""
    words = ["train", "--task", "Isaac-Cartpole-v0", "--max-iterations", str(ITERATIONS), "--name", name]
    outputs = home / "runs" / name / "outputs"
    began = time.time()
    command = subprocess.Popen(
        [sys.executable, "-m", "gaitway", *words],
        env={**os.environ, "GAITWAY_HOME": str(home)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    times: dict[str, float] = {}
    while command.poll() is None:
        _note(times, command.pid, outputs.parent / "pid")
        time.sleep(POLL_S)
    ended = time.time()
    if command.returncode != 0:
        raise SystemExit(f"the training ended with {command.returncode}: see {outputs.parent}/log.txt")
    reports = [json.loads(line) for line in (outputs / "progress.jsonl").read_text().splitlines()]
    done = [report["time"] for report in reports if "iteration" in report]
    return Spent(done[0] - began, ended - done[-1], *(times.get(who, 0.0) for who in ("command", "job", "beside")))


def _note(times: dict[str, float], command: int, pid_file: Path) -> None:
    """Note the processor times of all processes so far."""
    with contextlib.suppress(psutil.Error):
        times["command"] = _cpu(psutil.Process(command))
    with contextlib.suppress(psutil.Error, OSError, ValueError):
        job = psutil.Process(int(pid_file.read_text()))
        times["job"] = _cpu(job)
        times["beside"] = max(times.get("beside", 0.0), sum(_cpu(child) for child in job.children(recursive=True)))


def _cpu(process: psutil.Process) -> float:
    return float(sum(process.cpu_times()[:2]))


def main() -> None:
    """Train a few times and print what each cost."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--times", type=int, default=3)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="gaitway-start-") as folder:
        once(Path(folder), "warm")
        print(f"load {os.getloadavg()[0]:.1f}; seconds on the clock, then of processors")
        print("| start | end | command line | job | beside the job |\n|---|---|---|---|---|")
        for number in range(asked.times):
            spent = once(Path(folder), f"cartpole-{number}")
            values = (spent.start, spent.end, spent.command, spent.job, spent.beside)
            print("| " + " | ".join(f"{value:.2f}" for value in values) + " |", flush=True)


if __name__ == "__main__":
    main()
