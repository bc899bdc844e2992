"""How a task is learned: a training whose wall and CPU seconds are noted, and its checkpoints judged one by one.

    python benchmarks/learning.py train Isaac-Velocity-Rough-Anymal-C-v0 --seed 1 --out /tmp/rough-1
    python benchmarks/learning.py judge /tmp/rough-1 --every 100 --episodes 256 --set env.terrain.levels=0,9
    python benchmarks/learning.py judge /tmp/go2-1 --from 60 --every 10 --episodes 128
    python benchmarks/learning.py profile Isaac-Velocity-Rough-Anymal-C-v0
    python benchmarks/learning.py ablate Isaac-Velocity-Flat-Anymal-C-v0 --iterations 60 --seeds 1 2 3

``train`` is what ``gaitway train`` does with the task's recipe and scale, without tracking. Wall time says something on
a quiet machine only; CPU time changes little on a busy one. ``judge`` plays the deterministic policy as ``gaitway
validate`` does, without noise and pushes, and says whether the task's gate is met. ``profile`` tells where a training's
CPU time goes. ``ablate`` trains a task with one thing left out at a time, and judges what comes out.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import math
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

from gaitway_runtime.__main__ import THREAD_ENVIRONMENT

os.environ |= THREAD_ENVIRONMENT  # before a numerical library is loaded, as in a job

from ablations import ABLATIONS
from gaitway_runtime.evaluation import gate
from gaitway_runtime.evaluation.metrics import summarize
from gaitway_runtime.evaluation.rollout import Episode, run_episodes
from gaitway_runtime.evaluation.subject import read_subject
from gaitway_runtime.learners.base import LearnerTraining, TrainingStart
from gaitway_runtime.learners.rsl_rl import LEARNER, embedded
from gaitway_runtime.learners.rsl_rl.update import FastUpdate
from gaitway_runtime.policies.sessions import checkpoint_session
from gaitway_runtime.simulators import mujoco
from gaitway_runtime.simulators.mujoco.engine import Engine
from gaitway_runtime.simulators.mujoco.env import MujocoEnv
from gaitway_runtime.spec import catalog
from gaitway_runtime.spec.job import TrainJob, ValidateJob
from gaitway_runtime.tasks import environment
from gaitway_runtime.tasks.environment import EnvCfg, Training, find_environment
from rsl_rl.algorithms import PPO

FROM_SCRATCH = TrainingStart()
PROFILED = 5
"""Iterations of a profile."""
CURVE, JUDGED, RUN = "curve.jsonl", "judged.jsonl", "run.json"
COLUMNS = (
    "iteration",
    "steps",
    "wall_s",
    "cpu_s",
    "level",
    "reward",
    "survival",
    "length",
    "success",
    "gate",
)
"""What stands in every row; columns follow for what the task's gate bounds, and for how episodes are to end."""


class Curve:
    """Notes every iteration: what the learner tells, and the seconds so far."""

    def __init__(self, path: Path) -> None:
        self._stream = path.open("w")
        self._wall, self._cpu = time.time(), time.process_time()

    def on_iteration(self, iteration: int, total: int, steps: int, metrics: Mapping[str, float]) -> None:
        """See ``learners.base.Callbacks``."""
        seconds = {"wall_s": round(time.time() - self._wall, 1), "cpu_s": round(time.process_time() - self._cpu, 1)}
        row = {"iteration": iteration, "steps": steps, **seconds, **{name: round(v, 4) for name, v in metrics.items()}}
        print(json.dumps(row), file=self._stream, flush=True)

    def on_checkpoint(self, path: Path, iteration: int) -> None:
        """See ``learners.base.Callbacks``."""

    def should_stop(self) -> bool:
        """See ``learners.base.Callbacks``."""
        return False


def train(
    task: str,
    *,
    seed: int,
    iterations: int | None,
    threads: int,
    out: Path,
    save_every: int | None = None,
    overrides: tuple[str, ...] = (),
    shaping: bool = True,
    edited: Callable[[Training], Training] | None = None,
    worlds: float = 1.0,
    start: TrainingStart = FROM_SCRATCH,
) -> None:
    """Train a task's recipe and write its curve and checkpoints."""
    scale = catalog.embedded(task).local
    num_envs = round(worlds * scale.num_envs)
    job = TrainJob(
        task=task,
        seed=seed,
        num_envs=num_envs,
        max_iterations=iterations or scale.max_iterations,
        save_interval=save_every or scale.save_interval,
        shaping=shaping,
        overrides=(f"agent.torch_threads={threads}", *overrides),
    )
    out.mkdir(parents=True)
    run = {"task": task, "seed": seed, "threads": threads, "overrides": overrides}
    (out / RUN).write_text(json.dumps(run))
    with _tasks_edited(edited):
        env = mujoco.open_env(job, num_envs=num_envs, training=True, seed=seed, nthread=threads)
    with contextlib.closing(env):
        LEARNER.train(LearnerTraining(job=job, env=env, output_dir=out, start=start), Curve(out / CURVE), {})


@contextlib.contextmanager
def _tasks_edited(edited: Callable[[Training], Training] | None) -> Iterator[None]:
    def found(task: str) -> EnvCfg:
        cfg = find_environment(task)
        return cfg if edited is None else replace(cfg, training=edited(cfg.training))

    with mock.patch.object(environment, "find_environment", found):
        yield


def judge(out: Path, *, first: int, every: int, episodes: int, overrides: tuple[str, ...]) -> None:
    """Play every so many iterations' checkpoint and the last, and print what it reached as a table."""
    task = json.loads((out / RUN).read_text())["task"]
    bounded = (bound.metric for bound in gate.gate_of(task).thresholds if bound.metric not in _STANDING)
    columns = (*COLUMNS, *bounded, *_endings(task, ()))
    curve = {row["iteration"]: row for row in map(json.loads, (out / CURVE).read_text().splitlines())}
    saved = {int(path.stem.split("_")[1]): path for path in (out / "checkpoints").glob("model_*.pt")}
    wanted = [number for number in sorted(saved) if number % every == 0 or number == max(saved)]
    print("| " + " | ".join(columns) + " |\n|" + "---|" * len(columns))
    with (out / JUDGED).open("w") as stream:
        for number in (number for number in wanted if number >= first):
            row = _row(curve[number], _played(task, saved[number], episodes, overrides), overrides)
            print(json.dumps(row), file=stream, flush=True)
            print("| " + " | ".join(str(row[name]) for name in columns) + " |", flush=True)


PARTS: tuple[tuple[str, type, str], ...] = (
    ("physics", Engine, "advance"),
    ("environment, physics included", MujocoEnv, "step"),
    ("policy while playing", PPO, "act"),
    ("update", PPO, "update"),
    ("update", FastUpdate, "__call__"),
)
WAYS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("mirrored copies, rsl_rl's own update", ("agent.symmetric=false", "agent.fast_update=false")),
    ("symmetric networks, rsl_rl's own update", ("agent.symmetric=true", "agent.fast_update=false")),
    ("symmetric networks, the fast update", ("agent.symmetric=true", "agent.fast_update=true")),
)


def profile(task: str, *, out: Path) -> None:
    """Train a few iterations in each way, on one thread; print each part's CPU microseconds an environment step."""
    scale = catalog.embedded(task).local
    steps = PROFILED * embedded.configure(TrainJob(task=task)).num_steps_per_env * scale.num_envs
    for number, ((way, overrides), mixed) in enumerate(itertools.product(WAYS, (True, False))):
        spent = dict.fromkeys((name for name, *_ in PARTS), 0.0)
        with contextlib.ExitStack() as stack:
            for name, owner, method in PARTS:
                stack.enter_context(mock.patch.object(owner, method, _timed(getattr(owner, method), name, spent)))
            precision = f"agent.algorithm.use_mixed_precision={mixed}"
            overrides = (*overrides, precision)
            train(task, seed=1, iterations=PROFILED, threads=1, out=out / str(number), overrides=overrides)
        print(f"{task}, {way}, bfloat16 {'on' if mixed else 'off'}")
        for name, seconds in spent.items():
            print(f"  {name:<32}{1e6 * seconds / steps:>8.1f} us")


REACHED = ("reward", "survival", "error_vel_xy", "error_vel_yaw", "cpu_s")


def ablate(task: str, *, iterations: int, seeds: Sequence[int], episodes: int, only: Sequence[str], out: Path) -> None:
    """Train each way with each seed, on one thread; print the mean of what was reached, and its range over seeds."""
    print("| | " + " | ".join((*REACHED, "gate met")) + " |\n|---|---|" + "---|" * len(REACHED))
    for way, change in ABLATIONS.items():
        if only and way not in only:
            continue
        rows = []
        for seed in seeds:
            folder = out / f"{way}-{seed}"
            train(
                task,
                seed=seed,
                iterations=change.iterations(task, iterations),
                threads=1,
                out=folder,
                overrides=change.settings(),
                shaping=change.shaping,
                edited=change.edited,
                worlds=change.worlds,
            )
            trained = json.loads((folder / CURVE).read_text().splitlines()[-1])
            last = folder / "checkpoints" / f"model_{trained['iteration']}.pt"
            rows.append(_row(trained, _played(task, last, episodes, ()), change.settings()))
        shown = ((statistics.mean(found), min(found), max(found)) for found in _columns(rows))
        cells = [f"{mean:.3g} ({low:.3g} to {high:.3g})" for mean, low, high in shown]
        met = sum(row["gate"] == "met" for row in rows)
        print(" | ".join((f"| {way}", *cells, f"{met} of {len(rows)} |")))
        sys.stdout.flush()


def _columns(rows: Sequence[Mapping[str, float]]) -> Iterator[list[float]]:
    for name in REACHED:
        yield [row[name] for row in rows]


def _timed(method: Callable[..., Any], name: str, spent: dict[str, float]) -> Callable[..., Any]:
    def timed(*args: Any, **kwargs: Any) -> Any:
        began = time.process_time()
        result = method(*args, **kwargs)
        spent[name] += time.process_time() - began
        return result

    return timed


_STANDING = ("mean_reward", "survival_rate", "mean_episode_length")
"""Metrics that stand in every row under a shorter name."""


def _row(trained: Mapping[str, float], played: Mapping[str, Any], overrides: tuple[str, ...]) -> dict[str, Any]:
    begun = {name: trained[name] for name in ("iteration", "steps", "wall_s", "cpu_s")}
    level = round(trained.get("Curriculum/terrain_levels", 0.0), 3)
    return {**begun, "level": level, **played, "overrides": overrides}


def _played(task: str, checkpoint: Path, episodes: int, overrides: tuple[str, ...]) -> dict[str, Any]:
    with contextlib.closing(
        mujoco.open_env(ValidateJob(task=task, overrides=overrides), num_envs=episodes, training=False, seed=0)
    ) as env:
        subject = read_subject(checkpoint, env.contract)
        rollout = run_episodes(env, subject.actor(checkpoint_session(subject.policy)), episodes, seed=0)
    metrics = summarize(rollout, format="checkpoint", simulator=env.contract.simulator)
    verdict = gate.judge(task, rollout.episodes, metrics)
    numbers = {
        "reward": metrics.mean_reward,
        "survival": metrics.survival_rate,
        "length": metrics.mean_episode_length,
        "success": verdict.success_rate,
        **metrics.measurements,
        **_endings(task, rollout.episodes),
    }
    rounded = {name: None if number is None else round(number, 3) for name, number in numbers.items()}
    return {**rounded, "gate": "met" if verdict.passed else "not met"}


def _endings(task: str, episodes: Sequence[Episode]) -> dict[str, float]:
    """Return for each bound on how an episode ends the mean of what ended, and the share that is within it."""
    found = {}
    for bound in gate.rule_of(task, episodes).last:
        last = [abs(episode.last[bound.metric]) for episode in episodes]
        found[f"last {bound.metric}"] = statistics.fmean(last) if last else math.nan
        found[str(bound)] = statistics.fmean(map(bound.holds, last)) if last else math.nan
    return found


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    verbs = parser.add_subparsers(dest="verb", required=True)
    training = verbs.add_parser("train")
    training.add_argument("task")
    training.add_argument("--seed", type=int, default=1)
    training.add_argument("--iterations", type=int, help="the recipe's own number when omitted")
    training.add_argument("--threads", type=int, default=2)
    training.add_argument("--save-every", type=int, help="iterations between checkpoints; the recipe's when omitted")
    training.add_argument("--out", type=Path, required=True)
    training.add_argument("--set", action="append", default=[], metavar="agent.KEY=VALUE")
    profiling = verbs.add_parser("profile")
    profiling.add_argument("task")
    ablating = verbs.add_parser("ablate")
    ablating.add_argument("task")
    ablating.add_argument("--iterations", type=int, required=True)
    ablating.add_argument("--seeds", type=int, nargs="+", default=[1])
    ablating.add_argument("--episodes", type=int, default=128)
    ablating.add_argument("--only", nargs="+", default=[], choices=list(ABLATIONS))
    judging = verbs.add_parser("judge")
    judging.add_argument("out", type=Path)
    judging.add_argument("--from", dest="first", type=int, default=1, help="first iteration that is judged")
    judging.add_argument("--every", type=int, default=100, help="iterations between the checkpoints that are judged")
    judging.add_argument("--episodes", type=int, default=256)
    judging.add_argument("--set", action="append", default=[], metavar="env.KEY=VALUE")
    return parser.parse_args()


def main() -> None:
    """Do what the command line says."""
    asked = _arguments()
    if asked.verb == "train":
        train(
            asked.task,
            seed=asked.seed,
            iterations=asked.iterations,
            threads=asked.threads,
            out=asked.out,
            save_every=asked.save_every,
            overrides=tuple(asked.set),
        )
    elif asked.verb == "profile":
        with tempfile.TemporaryDirectory() as scratch:
            profile(asked.task, out=Path(scratch))
    elif asked.verb == "ablate":
        with tempfile.TemporaryDirectory() as scratch:
            ablate(
                asked.task,
                iterations=asked.iterations,
                seeds=asked.seeds,
                episodes=asked.episodes,
                only=asked.only,
                out=Path(scratch),
            )
    else:
        judge(asked.out, first=asked.first, every=asked.every, episodes=asked.episodes, overrides=tuple(asked.set))


if __name__ == "__main__":
    main()
