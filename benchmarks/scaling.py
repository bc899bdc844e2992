"""How a training scales: steps per second over processor cores, memory per environment, and the most that fit.

    python benchmarks/scaling.py Isaac-Velocity-Flat-Anymal-C-v0 --picture scaling.png

A short training with one thread, and one with as many as this machine has cores for, tell the processor time of each
part, which holds on a busy machine too, and the clock's time, which says something on a quiet one. What more cores give
is modelled: physics is shared out among them at the price that it had with the threads that were measured; the update
has two networks side by side and gains nothing from a third core; playing and the rest are one core's. With
``agent.overlap`` all cores are taken to be busy until either the rollout or the update is what the other waits for. Of
several processes each is one with a single thread; what their exchange of gradients costs is left out.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import learning
from gaitway_runtime.__main__ import THREAD_ENVIRONMENT
from gaitway_runtime.distributed.group import available_cpus
from gaitway_runtime.learners.base import LearnerTraining
from gaitway_runtime.learners.rsl_rl import LEARNER, embedded
from gaitway_runtime.process.machine import free_memory
from gaitway_runtime.simulators import mujoco
from gaitway_runtime.spec import catalog
from gaitway_runtime.spec.job import TrainJob

CORES = (1, 2, 4, 8, 16)
FEW, MANY = 256, 1024
"""Environments of the two trainings whose memory is compared."""
OVERLAP = 1.09
"""Processor time of a training with ``agent.overlap``, as a share of one without: ANYmal-C on flat ground, measured."""


@dataclass(frozen=True)
class Parts:
    """Time of a training's parts [us] an environment step."""

    physics: float
    environment: float
    """Without its physics."""
    playing: float
    update: float

    @property
    def rate(self) -> float:
        """Environment steps per second, if one part follows another."""
        return 1e6 / (self.physics + self.environment + self.playing + self.update)


@dataclass(frozen=True)
class Measured:
    """A training's parts with a number of threads."""

    clock: Parts
    processors: Parts
    """Time of all processors together."""


def measure(task: str, threads: int, iterations: int) -> Measured:
    """Train a few iterations in a process of its own, as a job does, which must not spin while it waits."""
    command = [sys.executable, __file__, task, "--iterations", str(iterations), "--parts-of", str(threads)]
    told = json.loads(subprocess.check_output(command, text=True, env={**os.environ, **THREAD_ENVIRONMENT}))
    return Measured(*(Parts(**told[name]) for name in ("clock", "processors")))


def print_parts(task: str, threads: int, iterations: int) -> None:
    """Train a few iterations, and print each part's time, the median of its calls, by either clock."""
    num_envs = catalog.embedded(task).local.num_envs
    horizon = embedded.configure(TrainJob(task=task)).num_steps_per_env
    calls: dict[str, list[tuple[float, float]]] = {name: [] for name, *_ in learning.PARTS}
    with contextlib.ExitStack() as stack:
        for name, owner, method in learning.PARTS:
            stack.enter_context(mock.patch.object(owner, method, _timed(getattr(owner, method), calls[name])))
        out = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "run"
        learning.train(task, seed=1, iterations=iterations, threads=threads, out=out)
    told = {}
    for number, clock in enumerate(("clock", "processors")):
        step = {name: 1e6 * statistics.median(call[number] for call in found) for name, found in calls.items()}
        physics, whole, playing, update = (1.0 / num_envs * step[name] for name in calls)
        told[clock] = asdict(Parts(physics, whole - physics, playing, update / horizon))
    print(json.dumps(told))


def _timed(method: Callable[..., Any], calls: list[tuple[float, float]]) -> Callable[..., Any]:
    def timed(*args: Any, **kwargs: Any) -> Any:
        began = time.perf_counter(), time.process_time()
        result = method(*args, **kwargs)
        calls.append((time.perf_counter() - began[0], time.process_time() - began[1]))
        return result

    return timed


def modelled(measured: Mapping[int, Measured], cores: int) -> Parts:
    """Return what is to be expected of one process on so many cores."""
    cost = measured[min(cores, max(measured))].processors
    return Parts(cost.physics / cores, cost.environment, cost.playing, cost.update / min(2, cores))


def overlapped(measured: Mapping[int, Measured], cores: int) -> float:
    """Return the steps per second to be expected of one process that plays while it learns, on so many cores."""
    parts, cost = modelled(measured, cores), measured[min(cores, max(measured))].processors
    if cores == 1:
        return parts.rate
    rollout = parts.physics + parts.environment + parts.playing
    return min(1e6 / rollout, 1e6 / parts.update, cores * cost.rate) / OVERLAP


def memory(task: str) -> tuple[float, float]:
    """Return what a training takes, and what each further environment adds [bytes], by the peaks of two trainings."""
    few, many = (
        int(subprocess.check_output([sys.executable, __file__, task, "--peak-of", str(count)], text=True))
        for count in (FEW, MANY)
    )
    each = (many - few) / (MANY - FEW)
    return few - FEW * each, each


def print_peak(task: str, count: int) -> None:
    """Train two iterations with so many environments, and print the most memory that this process took [bytes]."""
    job = TrainJob(task=task, num_envs=count, max_iterations=2, save_interval=2)
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        with contextlib.closing(mujoco.open_env(job, num_envs=count, training=True, seed=1)) as env:
            LEARNER.train(LearnerTraining(job=job, env=env, output_dir=out), learning.Curve(out / "curve"), {})
    # Not getrusage's peak, which is the parent's where that was larger.
    found = re.search(r"^VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text(), re.MULTILINE)
    assert found
    print(1024 * int(found[1]))


def draw(task: str, measured: Mapping[int, Measured], path: Path) -> None:
    """Draw the rates over the cores; those of the clock only where nothing else has kept the processors busy."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(6.4, 3.6), layout="constrained")
    one = measured[1].processors.rate
    rates = [modelled(measured, cores).rate for cores in CORES]
    known = [cores for cores in CORES if cores in measured]
    axes.plot(CORES, [cores * one for cores in CORES], "C1:", label="a process a core, modelled")
    axes.plot(CORES, rates, "C0--", label="one process, modelled")
    axes.plot(known, rates[: len(known)], "C0o", label="one process, processor time measured")
    if os.getloadavg()[0] <= max(measured):
        axes.plot(known, [measured[cores].clock.rate for cores in known], "kx", label="one process, on the clock")
    axes.set(xscale="log", yscale="log", xlabel="cores", ylabel="environment steps per second", title=task)
    axes.set_xticks(CORES, [str(cores) for cores in CORES])
    axes.minorticks_off()
    ticks = [5_000, 10_000, 20_000, 50_000, 100_000, 200_000, 500_000]
    axes.set_yticks(ticks, [f"{tick:,}" for tick in ticks])
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path, dpi=120)


def report_rates(task: str, iterations: int, picture: Path | None) -> None:
    """Measure and print the rates."""
    measured = {threads: measure(task, threads, iterations) for threads in sorted({1, min(16, available_cpus())})}
    print(f"{task}, {catalog.embedded(task).local.num_envs} environments, load {os.getloadavg()[0]:.1f}")
    print("| us a step | physics | environment | playing | update | steps/s | playing beside the update |")
    print("|---|---|---|---|---|---|---|")
    for threads, found in measured.items():
        shown = f"{threads} thread{'s' * (threads > 1)}"
        print(_row(f"{shown}, processor time", found.processors, rated=False))
        print(_row(f"{shown}, clock", found.clock))
    for cores in CORES:
        name = f"{cores} core{'s' * (cores > 1)}, modelled"
        print(_row(name, modelled(measured, cores), beside=f"{overlapped(measured, cores):,.0f}"))
    if picture:
        draw(task, measured, picture)


def report_memory(task: str) -> None:
    """Measure and print the memory of an environment, and how many fit."""
    base, each = memory(task)
    free = free_memory()
    fit = max(0.0, free - base) / each
    print(f"{task}: {base / 2**20:.0f} MiB and {each / 2**10:.1f} KiB an environment", end="; ")
    print(f"{free / 2**30:.1f} GiB are free here: about {fit:,.0f} environments fit")


def _row(name: str, parts: Parts, *, rated: bool = True, beside: str = "") -> str:
    numbers = " | ".join(f"{number:.1f}" for number in asdict(parts).values())
    return f"| {name} | {numbers} | {f'{parts.rate:,.0f}' if rated else ''} | {beside} |"


def main() -> None:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("task")
    parser.add_argument("--iterations", type=int, default=6, help="of each measured training")
    parser.add_argument("--picture", type=Path, help="draw the rates into this file")
    parser.add_argument("--memory", action="store_true", help="measure memory alone")
    parser.add_argument("--peak-of", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--parts-of", type=int, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.peak_of:
        print_peak(asked.task, asked.peak_of)
    elif asked.parts_of:
        print_parts(asked.task, asked.parts_of, asked.iterations)
    else:
        if not asked.memory:
            report_rates(asked.task, asked.iterations, asked.picture)
        report_memory(asked.task)


if __name__ == "__main__":
    main()
