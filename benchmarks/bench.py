"""``make bench``: what an environment step costs, and how much of it is physics.

Every row of ours is measured by turns with the bare physics of its model, in this one run; the ratios hold on a busy
machine too, the absolute numbers only on a quiet one.
"""

from __future__ import annotations

import argparse
import platform
import statistics
from pathlib import Path

import mujoco
import peers
import throughput
from clock import Spent

TASKS = (
    ("Isaac-Cartpole-v0", False),
    ("Isaac-Ant-v0", False),
    ("Isaac-Velocity-Flat-Anymal-C-v0", False),
    ("Isaac-Velocity-Flat-Anymal-C-v0", True),
    ("Isaac-Velocity-Rough-Anymal-C-v0", False),
    ("Isaac-Velocity-Rough-Anymal-C-v0", True),
    ("Isaac-Velocity-Flat-Anymal-B-v0", False),
    ("Isaac-Velocity-Flat-Anymal-D-v0", False),
    ("Isaac-Velocity-Flat-Unitree-Go2-v0", False),
    ("Isaac-Velocity-Flat-Unitree-Go1-v0", False),
    ("Isaac-Velocity-Flat-Unitree-A1-v0", False),
    ("Isaac-Velocity-Flat-H1-v0", False),
    ("Isaac-Velocity-Flat-G1-v0", False),
    ("Isaac-Reach-Franka-v0", False),
)
LEAST = 0.80
"""Least ratio of a full environment to its bare physics."""
LINE = "{:<60}{:>12}{:>12}{:>8}{:>11}{:>11}{:>9}"


def main() -> int:
    """Measure and print the table; return 1 where a ratio is below :data:`LEAST`."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--num-envs", type=int, default=512)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--blocks", type=int, default=15, help="pairs of blocks per row")
    parser.add_argument("--seconds", type=float, default=0.4, help="length of a block")
    parser.add_argument("--peers", type=Path, metavar="PYTHON", help="Python that has envpool, for its rows")
    options = parser.parse_args()

    print(f"mujoco {mujoco.__version__}, {options.num_envs} environments, {options.threads} threads, {_machine()}")
    print(LINE.format("", "physics", "full", "full/", "physics", "full", "full/"))
    print(LINE.format("environment", "steps/s", "steps/s", "physics", "cpu-us", "cpu-us", "physics"))
    low = []
    for task, training in TASKS:
        row = throughput.measure(
            task,
            training=training,
            num_envs=options.num_envs,
            nthread=options.threads,
            blocks=options.blocks,
            seconds=options.seconds,
        )
        _print(row)
        if row.ratio < LEAST:
            low.append(row.name)
    for peer in peers.measure(options.peers):
        _print_peer(peer)
    if low:
        print(f"below {LEAST:.2f} of the bare physics: {', '.join(low)}")
    return 1 if low else 0


def _print(row: throughput.Row) -> None:
    print(
        LINE.format(
            row.name,
            f"{_rate(row.physics):,.0f}",
            f"{_rate(row.full):,.0f}",
            f"{row.ratio:.2f}",
            f"{_cost(row.physics):.1f}",
            f"{_cost(row.full):.1f}",
            f"{row.cpu_ratio:.2f}",
        ),
        flush=True,
    )


def _print_peer(peer: peers.Peer) -> None:
    print(
        LINE.format(peer.name, "", f"{peer.spent.per_second:,.0f}", "", "", f"{peer.spent.cpu_us:.1f}", ""), flush=True
    )


def _rate(blocks: tuple[Spent, ...]) -> float:
    return statistics.median(block.per_second for block in blocks)


def _cost(blocks: tuple[Spent, ...]) -> float:
    return statistics.median(block.cpu_us for block in blocks)


def _machine() -> str:
    return f"{platform.machine()} {platform.system()}, Python {platform.python_version()}"


if __name__ == "__main__":
    raise SystemExit(main())
