"""As many environments of the embedded simulator as the memory of this machine holds."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
from pathlib import Path

from ..distributed.rank import Rank
from ..learners import base as learners
from ..learners.base import LearnerTraining
from ..process import out_of_memory
from ..simulators import base as simulators
from ..spec.job import TrainJob

MOST = 1 << 20
"""More than an environment of any task here takes [bytes]: with so much for each nobody needs to count."""
COPIES = 7
"""Memory of a training over that of what an iteration collects: 4.5 to 7.1 (``benchmarks/scaling.py``)."""
SHARE = 0.9
"""Part of the free memory that a training may take."""

log = logging.getLogger(__name__)


def with_room(job: TrainJob, rank: Rank, output_dir: Path) -> TrainJob:
    """Return the job with fewer environments where memory does not hold as many as it asks for, and say so.

    The kernel promises more than there is, and kills without a word who takes it.
    """
    if job.simulator != "mujoco" or rank.several:
        return job
    free = int(SHARE * out_of_memory.free())
    if not free or job.num_envs * MOST <= free:  # none is told where there is no /proc
        return job
    each = _size(job, output_dir)
    fits = max(1, free // each) if each else job.num_envs
    if fits >= job.num_envs:
        return job
    log.warning(
        "memory holds about %d of the %d environments that are asked for (%.1f GiB are free, each takes about %d KiB): "
        "training with %d",
        *(fits, job.num_envs, free / SHARE / 2**30, each >> 10, fits),
    )
    return dataclasses.replace(job, num_envs=fits)


def _size(job: TrainJob, output_dir: Path) -> int:
    """Return about what one environment and its samples take [bytes]; 0 where the learner does not tell."""
    one = dataclasses.replace(job, num_envs=1)
    with contextlib.closing(
        simulators.load(job.simulator).open_env(one, num_envs=1, training=True, seed=job.seed)
    ) as env:
        learner = learners.load(job.backend)
        if not isinstance(learner, learners.TellsHorizon):
            return 0
        steps = learner.horizon(LearnerTraining(job=one, env=env, output_dir=output_dir))
        # Of each step observations, actions, what drew them, and eight numbers such as reward, value and advantage.
        numbers = sum(env.observation_sizes.values()) + 3 * env.num_actions + 8
        return 4 * steps * numbers * COPIES
