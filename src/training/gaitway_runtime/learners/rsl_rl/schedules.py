"""What changes from iteration to iteration: the learning rate towards the end, the pace of inputs that come in late."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from . import late_inputs, settling

if TYPE_CHECKING:
    from rsl_rl.algorithms import PPO

    from ...simulators.base import Env
    from ...tasks.learning import RslRlCfg


@dataclass(frozen=True, kw_only=True)
class TrainingCourse:
    """How far a training is."""

    iteration: Callable[[], int]
    """Returns the iteration under way, counted from zero."""
    total: int
    """Iterations of the training."""
    steps_per_iteration: int
    """Environment steps of one, over all worlds."""


def schedule(algorithm: PPO, env: Env, config: RslRlCfg, course: TrainingCourse) -> None:
    """Let the algorithm follow the schedules of its configuration.

    Args:
        algorithm: The algorithm, with the update that it is to have and the checkpoint that it continues.
        env: The environment.
        config: The configuration.
        course: How far the training is.
    """
    parts = (
        settling.settle(algorithm, config, course.total),
        late_inputs.slow_down(algorithm, env, config, course.steps_per_iteration),
    )
    followed = [part for part in parts if part is not None]
    if not followed:
        return
    update = algorithm.update

    def prepare(iteration: int) -> None:
        for part in followed:
            part(iteration)

    def update_and_prepare() -> dict[str, float]:
        losses: dict[str, float] = update()
        # Not before it: what learns beside a rollout is still at work when the next one is handed over.
        prepare(course.iteration() + 1)
        return losses

    prepare(course.iteration())
    algorithm.update = update_and_prepare
