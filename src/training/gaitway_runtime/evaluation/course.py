"""Comparison of a training with the recorded learning curve of its recipe: whether it is on its way."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from ..spec import catalog

if TYPE_CHECKING:
    from ..spec.catalog import LearningCurve
    from ..spec.job import TrainJob

SLOWEST = 0.6
"""Least speed that counts as on its way, as a share of the recorded curve's."""
NOISE = 0.1
"""Error of a mean over a few episodes, as a share of the curve's rise."""


CURVES = Path(__file__).parents[1] / "tasks" / "curves.json"
"""Recorded curves of gaitway's own tasks by the task's name, as ``benchmarks/record_curve.py`` writes them."""


def recorded_curve(job: TrainJob) -> LearningCurve:
    """Return the recorded curve that a training can be compared with; empty where it is not the recipe's own."""
    info = catalog.find(job.task)
    if info is None or not is_recipes_own(job):
        return ()
    return info.curve or read_curves().get(info.name, ())


def is_recipes_own(job: TrainJob) -> bool:
    """Whether a training is the recipe of its task, unchanged: at the local scale, from scratch."""
    info = catalog.find(job.task)
    return (
        info is not None
        and catalog.PLAY not in job.task
        and job.simulator == "mujoco"
        and job.backend == "rsl_rl"
        and job.shaping
        and not job.overrides
        and not job.imports
        and job.checkpoint_uri is None
        and job.num_envs == info.local.num_envs
    )


def read_curves() -> dict[str, LearningCurve]:
    """Return the recorded curves of gaitway's own tasks."""
    document = json.loads(CURVES.read_text(encoding="utf-8"))
    return {name: tuple((int(at), float(reward)) for at, reward in points) for name, points in document.items()}


def course(curve: LearningCurve, iteration: int, reward: float) -> str:
    """Return in a few words whether an evaluated reward is where the recorded curve was; empty without a curve."""
    if not curve:
        return ""
    rise = max(value for _, value in curve) - min(value for _, value in curve)
    recorded = _at(curve, iteration)
    if reward >= _at(curve, SLOWEST * iteration) - NOISE * rise:
        return f"on its way (the recorded training of this recipe had {recorded:.1f})"
    return f"behind (the recorded training of this recipe had {recorded:.1f})"


def _at(curve: LearningCurve, iteration: float) -> float:
    """Return the curve's value at an iteration, interpolated."""
    before = curve[0]
    for point in curve:
        if point[0] >= iteration:
            span = point[0] - before[0]
            return before[1] + (point[1] - before[1]) * ((iteration - before[0]) / span if span else 1.0)
        before = point
    return before[1]
