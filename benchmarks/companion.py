"""Cost of an exact resume: the size of a companion file, and the share of a training that is spent on it.

python benchmarks/companion.py Isaac-Velocity-Rough-Anymal-C-v0 --num-envs 512 --iterations 6 --save-interval 3
"""

from __future__ import annotations

import argparse
import contextlib
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from unittest import mock

from gaitway_runtime.learners import loop, monitor
from gaitway_runtime.learners.base import LearnerTraining
from gaitway_runtime.learners.rsl_rl import LEARNER
from gaitway_runtime.simulators import mujoco
from gaitway_runtime.simulators.mujoco.env import MujocoEnv
from gaitway_runtime.spec.job import TrainJob

PARTS = ((MujocoEnv, "training_state"), (loop, "pack"), (monitor, "write_state"), (monitor, "rotate"))
"""Everything that is done for a companion and for nothing else."""


class Silent:
    """See ``learners.base.Callbacks``."""

    def on_iteration(self, iteration: int, total: int, steps: int, metrics: Mapping[str, float]) -> None:
        """See ``learners.base.Callbacks``."""

    def on_checkpoint(self, path: Path, iteration: int) -> None:
        """See ``learners.base.Callbacks``."""

    def should_stop(self) -> bool:
        """See ``learners.base.Callbacks``."""
        return False


def main() -> None:
    """Train and print what the companions took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("task")
    parser.add_argument("--num-envs", type=int, default=512)
    parser.add_argument("--iterations", type=int, default=6)
    parser.add_argument("--save-interval", type=int, default=3)
    options = parser.parse_args()
    job = TrainJob(
        task=options.task,
        num_envs=options.num_envs,
        max_iterations=options.iterations,
        save_interval=options.save_interval,
    )
    spent: list[float] = []
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        env = mujoco.open_env(job, num_envs=job.num_envs, training=True, seed=job.seed)
        stack.enter_context(contextlib.closing(env))
        for owner, name in PARTS:
            stack.enter_context(mock.patch.object(owner, name, _timed(getattr(owner, name), spent)))
        began = time.perf_counter()
        LEARNER.train(LearnerTraining(job=job, env=env, output_dir=folder), Silent(), {})
        total = time.perf_counter() - began
        size = max(path.stat().st_size for path in (folder / "checkpoints").glob("state_*.npz"))
    print(f"{job.task}, {job.num_envs} worlds: {size / 1e6:.2f} MB, {100 * sum(spent) / total:.2f} % of {total:.1f} s")


def _timed(action: Callable[..., Any], spent: list[float]) -> Callable[..., Any]:
    def timed(*args: Any, **kwargs: Any) -> Any:
        began = time.perf_counter()
        try:
            return action(*args, **kwargs)
        finally:
            spent.append(time.perf_counter() - began)

    return timed


if __name__ == "__main__":
    main()
