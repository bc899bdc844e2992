"""What all releases of rsl_rl share: a plain MLP after an optional recurrent part, and an empirical normaliser."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from ...errors import UsageError
from ..network import Normalizer, Output, Parts
from ..surroundings import LARGEST, Surroundings
from ..weights import StateDict, linear_chain, recurrent_stack
from .evidence import check_hidden_sizes, missing_normalizer, unclear_output

EPS = 1e-2
"""Added to the standard deviation by rsl_rl's ``EmpiricalNormalization`` (2.x to 5.x); it is not in the file."""


@dataclass(frozen=True, kw_only=True)
class Actor:
    """The policy's entries of a checkpoint, whatever keys its release gives them."""

    role: str
    """``actor``, or ``student`` of a distillation run; the name of its part of the configuration."""
    layers: StateDict
    """``<index>.weight`` and ``<index>.bias``."""
    recurrent: StateDict
    """``weight_ih_l0`` and so on; empty for a plain MLP."""
    normalizer: StateDict
    """``_mean``, ``_var``, ``_std``, ``count``; empty where the file has none."""
    normalizer_key: str
    """Where the normaliser is, or would be, in the file."""
    has_std: bool
    """Whether the file has a spread of its own for each action."""
    normalized_other: str | None
    """The other network of the same file (``critic``, ``teacher``) if it is normalised."""


def parts_of(actor: Actor, checkpoint: Mapping[str, Any], around: Surroundings, family: str) -> Parts:
    """Read the policy.

    Raises:
        UsageError: Something the policy needs is missing, contradictory or not supported.
    """
    role = actor.role
    linears = linear_chain(actor.layers, role)
    check_hidden_sizes(linears, around, around.config(f"{role}.hidden_dims", f"policy.{role}_hidden_dims"))
    configured = around.config(f"{role}.activation", "policy.activation")
    activations, source = around.activations(len(linears) - 1, configured)
    return Parts(
        family=family,
        linears=linears,
        activations=activations,
        activation_source=source,
        normalizer=_normalizer(actor, around),
        output=_output(actor, around, rows=linears[-1].weight.shape[0]),
        rnn=recurrent_stack(actor.recurrent, role) if actor.recurrent else None,
        output_limit=around.output_limit("clip_actions"),
        iteration=_iteration(checkpoint),
    )


def _normalizer(actor: Actor, around: Surroundings) -> Normalizer | None:
    """Read ``(obs - mean) / (std + 0.01)``."""
    role, where = actor.role, actor.normalizer_key
    configured = around.config(
        f"{role}.obs_normalization", f"policy.{role}_obs_normalization", "empirical_normalization"
    )
    expected = around.says_normalized(configured)
    if not actor.normalizer:
        if expected or (expected is None and actor.normalized_other):
            raise missing_normalizer(where, around, expected, other=actor.normalized_other)
        return None
    absent = [name for name in ("_mean", "_std") if name not in actor.normalizer]
    if absent:
        raise UsageError(f"the checkpoint's observation normaliser is not whole: {where}.{absent[0]} is missing")
    mean, std = (actor.normalizer[name].reshape(-1).float() for name in ("_mean", "_std"))
    if bool((std < 0).any()):
        raise UsageError(f"the checkpoint's {where}._std has negative values")
    return Normalizer("empirical", mean, std, EPS)


def _output(actor: Actor, around: Surroundings, rows: int) -> Output:
    """Tell what the last layer gives: a mean, a mean with its spread, or a Beta distribution's parameters."""
    role = actor.role
    if actor.has_std:
        return Output("gaussian")
    config = around.config(f"{role}.distribution_cfg")
    name = str(config.get("class_name", "")) if isinstance(config, Mapping) else ""
    if "Heteroscedastic" in name or around.config(f"{role}.state_dependent_std", "policy.state_dependent_std"):
        return Output("state_dependent_gaussian")
    if "Beta" in name:
        return Output("beta", bounds=_beta_range(config.get("action_range"), around))
    if rows % 2 or around.agent or role == "student":
        return Output("deterministic")
    raise unclear_output(rows, around)


def _beta_range(configured: Any, around: Surroundings) -> tuple[float, float]:
    """Return the range of a Beta distribution's actions; rsl_rl's default is [-1, 1]."""
    if not configured:
        return (-1.0, 1.0)
    numbers = configured if isinstance(configured, list) else []
    if len(numbers) != 2 or not all(isinstance(bound, int | float) and abs(bound) <= LARGEST for bound in numbers):
        raise UsageError(f"the action range is not a pair of numbers: {configured!r}", source=str(around.agent_file))
    return float(numbers[0]), float(numbers[1])


def _iteration(checkpoint: Mapping[str, Any]) -> int | None:
    found = checkpoint.get("iter")
    if isinstance(found, torch.Tensor) and found.numel() == 1:
        return int(found)
    return found if isinstance(found, int) else None
