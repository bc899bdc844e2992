"""Fault suite: ``python -m benchmarks.chaos [--seed N] [--kills N] [--only WORD]``.

Injects faults into whole jobs, seeded, and prints a table of what held; the exit code is 1 where something did not.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.fakes.whole_job import CARTPOLE, ROUGH

from . import disks, kills, owners, servers
from .forks import ROOT, Nursery
from .lab import Experiment, Lab, Row

INSIDE = "GAITWAY_CHAOS_INSIDE"
"""Environment variable: this process has a mount namespace of its own."""

KILLS = 200

EXPERIMENTS: dict[str, tuple[Experiment, float]] = {
    "disk full at a write": (disks.full, -40),
    "kill -9: job, Cartpole": (kills.of_jobs(CARTPOLE, "store"), 0.3),
    "kill -9: job, rough ANYmal": (kills.of_jobs(ROUGH, "store"), 0.2),
    "kill -9: job that reports to a server": (kills.of_jobs(CARTPOLE, "server"), 0.1),
    "kill -9: launcher, rank 0 or 1, or all": (kills.of_ranks, 0.1),
    "kill -9: container with all in it": (kills.of_containers, 0.1),
    "kill -9: tracking server": (kills.of_servers, 0.05),
    "kill -9: sender (gaitway sync)": (kills.of_senders, 0.075),
    "kill -9: client (gaitway train)": (kills.of_clients, 0.075),
    "server fails in mid-training": (servers.in_midtraining, -1),
    "server fails at the start": (servers.at_start, -1),
    "server comes back empty": (servers.emptied, -2),
    "server comes back at another port": (servers.moved, -2),
    "disk out of inodes": (disks.without_inodes, -12),
    "home read-only": (disks.read_only_before, -1),
    "outputs turn read-only": (disks.read_only_meanwhile, -6),
    "clock is set": (owners.stepped_clocks, -12),
    "process id used again": (owners.reused_pids, -3),
    "two resumes at once": (owners.at_once, -6),
    "owner on another machine": (owners.elsewhere, -6),
}
"""Experiments by the fault they inject, the longest first.

Each with its share of the kills, or, below zero, with how many tries it has of its own.
"""


def main() -> int:
    """Run the suite and print its table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="the same kills at the same instants")
    parser.add_argument("--kills", type=int, default=KILLS, help="kills in all")
    parser.add_argument("--tries", type=float, default=1.0, help="factor on the tries of what is not a kill")
    parser.add_argument("--at-once", type=int, default=4, help="experiments at the same time")
    parser.add_argument("--only", default="", help="faults whose name this expression finds")
    options = parser.parse_args()
    if INSIDE not in os.environ:
        return _with_mounts()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="gaitway-chaos-") as folder:
        nursery = Nursery(Path(folder))
        try:
            lab = Lab(nursery, Path(folder), options.seed)
            with ThreadPoolExecutor(options.at_once) as pool:
                chosen = {name: asked for name, asked in EXPERIMENTS.items() if re.search(options.only, name)}
                tries = {name: _tries(share, options) for name, (_, share) in chosen.items()}
                rows = list(pool.map(lambda name: _run(lab, name, chosen[name][0], tries[name]), chosen))
        finally:
            nursery.close()
    return _report(rows, options.seed, time.monotonic() - began)


def _with_mounts() -> int:
    """Run this again where small file systems can be mounted that nobody else sees."""
    environ = {**os.environ, INSIDE: "1", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "benchmarks.chaos", *sys.argv[1:]]
    unshare = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--mount", "--map-root-user"]
    try:
        able = subprocess.run([*unshare, "true"], capture_output=True, check=False).returncode == 0
    except OSError:
        able = False
    return subprocess.run([*(unshare if able else []), *command], env=environ, cwd=ROOT, check=False).returncode


def _tries(share: float, options: argparse.Namespace) -> int:
    return max(1, round(share * options.kills if share > 0 else -share * options.tries))


def _run(lab: Lab, name: str, experiment: Experiment, tries: int) -> Row:
    row, began = Row(name), time.monotonic()
    try:
        experiment(lab, row, tries)
    except disks.NoMounts as error:
        row.skipped = f"no file system can be mounted here: {error}"
    except Exception:  # noqa: BLE001 - an experiment that breaks is a row of the table, not its end
        row.problems.append(traceback.format_exc())
    row.seconds = time.monotonic() - began
    print(_line(row), *shown(row), sep="\n  ", file=sys.stderr, flush=True)
    return row


def shown(row: Row) -> list[str]:
    """Return the first problems of a row, each of a readable length."""
    return [problem[:1200] for problem in row.problems[:8]]


def _line(row: Row) -> str:
    said = "skipped" if row.skipped else f"{len(row.problems)} FAILED" if row.problems else "held"
    return f"{row.fault:42} {row.tries:>5} {said:>10} {row.seconds:8.1f}"


def _report(rows: list[Row], seed: int, seconds: float) -> int:
    print(f"\n{'fault':42} {'tries':>5} {'':>10} {'s':>8}")
    for row in rows:
        print(_line(row))
    kills = [row for row in rows if row.fault.startswith("kill")]
    killed, held = sum(row.tries for row in kills), sum(row.tries for row in kills if not row.problems)
    broken = [row for row in rows if row.problems]
    print(f"\nseed {seed}: {held} of {killed} kills held, {sum(row.tries for row in rows)} faults in all", end=", ")
    print(f"{seconds / 60:.1f} minutes")
    for row in rows:
        if row.skipped:
            print(f"{row.fault}: {row.skipped}")
        if row.problems:
            print(row.fault, *shown(row), sep="\n  ")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
