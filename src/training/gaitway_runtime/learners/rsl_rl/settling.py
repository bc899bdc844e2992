"""Smaller and smaller updates towards the end of a training, so that its last policies differ little.

At a full learning rate a policy comes and goes: two that are a few updates apart may fall on half of the same stairs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rsl_rl.algorithms import PPO

    from ...tasks.learning import RslRlCfg

LEAST = 0.1
"""Learning rate at the very end, as a share of the full one."""


def strength(iteration: int, total: int, share: float) -> float:
    """Return the share of the full learning rate of an iteration, in [:data:`LEAST`, 1].

    Args:
        iteration: The iteration, counted from zero.
        total: Iterations of the training.
        share: Share of the training, at its end, over which the rate falls along a straight line.
    """
    if share <= 0.0:
        return 1.0
    left = (total - iteration) / (share * total)
    return max(LEAST, min(1.0, LEAST + (1.0 - LEAST) * left))


def settle(algorithm: PPO, config: RslRlCfg, total: int) -> Callable[[int], None] | None:
    """Return what prepares an iteration's learning rate, or nothing where it stays as it is.

    With an adaptive rate it is the divergence aimed at that falls, by the square.

    Args:
        algorithm: The algorithm.
        config: Its configuration.
        total: Iterations of the training.
    """
    if config.settle <= 0.0:
        return None
    settings = config.algorithm

    def prepare(iteration: int) -> None:
        part = strength(iteration, total, config.settle)
        if settings.desired_kl is not None and settings.schedule == "adaptive":
            algorithm.desired_kl = settings.desired_kl * part * part
            return
        algorithm.learning_rate = settings.learning_rate * part
        for group in algorithm.optimizer.param_groups:
            group["lr"] = algorithm.learning_rate

    return prepare
