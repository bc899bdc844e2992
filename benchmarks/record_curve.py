"""Record how a task's recipe learns: the curve by which a training is said to be on its way.

    python benchmarks/record_curve.py Isaac-Cartpole-v0                     # trains it once at its local scale
    python benchmarks/record_curve.py --from .gaitway/runs/RUN              # takes a training that has been done
    python benchmarks/record_curve.py --from RUN                            # one of benchmarks/learning.py, judged

writes the curve into ``gaitway_runtime/tasks/curves.json``. A training of its own evaluates as often as a third of the
time allows. One that has been done must be the recipe unchanged, and have been evaluated often enough.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import sys
import tempfile
from pathlib import Path

from gaitway_runtime.evaluation.course import CURVES, is_recipes_own, read_curves
from gaitway_runtime.spec import catalog
from gaitway_runtime.spec.catalog import LearningCurve
from gaitway_runtime.spec.files import replacing
from gaitway_runtime.spec.job import TrainJob
from gaitway_runtime.spec.job_document import load
from gaitway_runtime.spec.result import read

import gaitway

POINTS = 12
"""Points of a curve."""
FEWEST = 6
"""Evaluations from which a curve is worth recording."""
RUN, JUDGED = "run.json", "judged.jsonl"
"""What ``benchmarks/learning.py`` leaves of a training, and of judging it."""


def main() -> None:
    """Take the curve of a training that has been done, or of a new one."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task", nargs="?")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--from", dest="run_dir", type=Path, help="folder of a training that has been done")
    arguments = parser.parse_args()
    if bool(arguments.task) == bool(arguments.run_dir):
        parser.error("name a task, or --from RUN")
    if arguments.run_dir:
        print(record_judged(arguments.run_dir) if (arguments.run_dir / JUDGED).exists() else record(arguments.run_dir))
        return
    with tempfile.TemporaryDirectory(prefix="gaitway-curve-") as home:
        os.environ["GAITWAY_HOME"] = home
        run = gaitway.train(task=arguments.task, seed=arguments.seed, evaluation_share=0.33)
        run.wait(raise_on_failure=True)
        print(record(run.run_dir))


def record(run_dir: Path) -> str:
    """Write the curve of a training; return it as a line."""
    job, _ = load(run_dir / "job.json")
    result = read(run_dir / "outputs")
    if result is None or result.status != "succeeded":
        sys.exit(f"{run_dir} has not come to its end")
    job = dataclasses.replace(job, simulator=result.simulator or job.simulator)
    if not isinstance(job, TrainJob) or not is_recipes_own(job):
        sys.exit(f"{run_dir} is not the recipe of its task, unchanged, at its local scale, from scratch")
    return keep(job.task, evaluated(run_dir / "outputs" / "progress.jsonl"), run_dir)


def record_judged(run_dir: Path) -> str:
    """Write the curve of a training by ``benchmarks/learning.py`` that has been judged; return it as a line."""
    run = json.loads((run_dir / RUN).read_text())
    rows = [json.loads(line) for line in (run_dir / JUDGED).read_text().splitlines()]
    if run["overrides"] or any(row["overrides"] for row in rows):
        sys.exit(f"{run_dir} is not the recipe of its task, unchanged, or was judged on something else")
    return keep(run["task"], [(row["iteration"], row["reward"]) for row in rows], run_dir)


def keep(task: str, points: list[tuple[int, float]], run_dir: Path) -> str:
    """Write the curve of a task from a training's evaluations; return it as a line."""
    if len(points) < FEWEST:
        sys.exit(f"{run_dir} has {len(points)} evaluations: too few for a curve")
    chosen = [points[round(k * (len(points) - 1) / (POINTS - 1))] for k in range(POINTS)]
    info = catalog.find(task)
    assert info
    curve = tuple((iteration, round(reward, 2)) for iteration, reward in dict.fromkeys(chosen))
    write({**read_curves(), info.name: curve})
    return f"{info.name}: {curve}"


def write(curves: dict[str, LearningCurve]) -> None:
    """Write all curves, one on a line."""
    lines = [f"  {json.dumps(name)}: {json.dumps(curve)}" for name, curve in sorted(curves.items())]
    with replacing(CURVES) as partial:
        partial.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


def evaluated(progress: Path) -> list[tuple[int, float]]:
    """Return every evaluation's iteration and reward, smoothed over its neighbours."""
    found: dict[int, float] = {}
    for line in progress.read_text().splitlines():
        evaluation = json.loads(line).get("evaluation")
        if evaluation:
            found[int(evaluation["iteration"])] = evaluation["mean_reward"]
    rewards = list(found.values())
    near = [rewards[max(0, k - 1) : k + 2] for k in range(len(rewards))]
    return [(iteration, sum(some) / len(some)) for iteration, some in zip(found, near, strict=True)]


if __name__ == "__main__":
    main()
