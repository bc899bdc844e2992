"""Inputs that come in late: many noisy ones, such as a height scan, that say nothing before the robot walks.

Their first weights start from zero, stay there for a while, and then learn more slowly than the others. Standardised
noise of two hundred inputs would otherwise be most of what an update changes in the policy: the learning rate, which
follows that, would be as low for all that the robot has to learn at first.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch

from ...spec.errors import UsageError

if TYPE_CHECKING:
    from rsl_rl.algorithms import PPO

    from ...simulators.base import Env
    from ...tasks.learning import RslRlCfg

Columns = list[torch.Tensor]
"""Views of first weights, one for each network and term."""


def zero(algorithm: PPO, env: Env, names: tuple[str, ...]) -> None:
    """Set the first weights of some of the policy's inputs to zero; they come first in the critic's inputs too.

    Raises:
        UsageError: The policy has no observation term of that name.
    """
    with torch.no_grad():
        for columns in _columns(algorithm, env, names):
            columns.zero_()


def slow_down(algorithm: PPO, env: Env, config: RslRlCfg, steps_per_iteration: int) -> Callable[[int], None] | None:
    """Hold back the first weights of late inputs; return what prepares an iteration, or nothing where none are late.

    Args:
        algorithm: The algorithm.
        env: The environment.
        config: Its configuration.
        steps_per_iteration: Environment steps of an iteration, over all worlds.
    """
    if not config.late_inputs or (config.late_steps == 0 and config.late_rate == 1.0):
        return None
    columns = _columns(algorithm, env, config.late_inputs)
    before = [torch.empty_like(weights) for weights in columns]
    rate = 1.0

    def prepare(iteration: int) -> None:
        nonlocal rate
        rate = config.late_rate if iteration * steps_per_iteration >= config.late_steps else 0.0

    def keep(*_: Any) -> None:
        for copy, weights in zip(before, columns, strict=True):
            copy.copy_(weights)

    @torch.no_grad()
    def hold_back(*_: Any) -> None:
        for copy, weights in zip(before, columns, strict=True):
            weights.copy_(copy.lerp_(weights, rate))

    algorithm.optimizer.register_step_pre_hook(keep)
    algorithm.optimizer.register_step_post_hook(hold_back)
    return prepare


def _columns(algorithm: PPO, env: Env, names: tuple[str, ...]) -> Columns:
    """Return the first weights of some of the policy's inputs, in both networks."""
    found: Columns = []
    for name in names:
        term = env.contract.observation(name)
        if term is None:
            raise UsageError(
                f"the policy has no observation '{name}'",
                source="--set agent.late_inputs",
                allowed=", ".join(known.name for known in env.contract.observations),
            )
        found += [
            model.mlp[0].weight.detach()[:, term.start : term.stop] for model in (algorithm.actor, algorithm.critic)
        ]
    return found
