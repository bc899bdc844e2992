"""Common parts of all rsl_rl releases: a plain MLP after an optional recurrent part, and an empirical normaliser."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from ...spec.errors import UsageError
from ..network import Normalizer, Output, PolicyParts
from ..training_config import LARGEST, TrainingConfig
from ..weights import StateDict, mlp_chain, recurrent_stack
from .checks import (
    check_class,
    check_hidden_sizes,
    check_keys,
    missing_normalizer,
    nothing_told,
    unclear_output,
    unused_normalizer,
)

EPS = 1e-2
"""Added to the standard deviation by rsl_rl's ``EmpiricalNormalization`` (2.x to 5.x); it is not in the file."""

DISTRIBUTIONS = {
    "GaussianDistribution": "gaussian",
    "HeteroscedasticGaussianDistribution": "state_dependent_gaussian",
    "BetaDistribution": "beta",
}
"""rsl_rl 5's own distributions, and the name that the contract has for each."""


KEYS = frozenset(
    [
        "class_name",
        "activation",
        "hidden_dims",
        "actor_hidden_dims",
        "critic_hidden_dims",
        "student_hidden_dims",
        "teacher_hidden_dims",
        "obs_normalization",
        "actor_obs_normalization",
        "critic_obs_normalization",
        "student_obs_normalization",
        "teacher_obs_normalization",
        "stochastic",
        "init_noise_std",
        "init_std",
        "noise_std_type",
        "state_dependent_std",
        "distribution_cfg",
        "rnn_type",
        "rnn_hidden_dim",
        "rnn_hidden_size",
        "rnn_num_layers",
        "teacher_recurrent",
    ]
)
"""What the policies of rsl_rl 1.x to 5.x take from their configuration."""


@dataclass(frozen=True, kw_only=True)
class ActorEntries:
    """Entries of the policy in a checkpoint, whatever keys its release gives them."""

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
    class_paths: tuple[str, ...]
    """Where the configuration names the network's class."""
    classes: tuple[str, ...]
    """Names of the library's own classes."""
    read: frozenset[str]
    """Top-level entries of the file that belong to the policy, or to a network that does not act."""


def parts_of(
    actor: ActorEntries,
    entries: Mapping[str, object],
    training: TrainingConfig,
    family: str,
    crelu: str | None = "crelu",
) -> PolicyParts:
    """Read the policy.

    Args:
        actor: Its entries.
        entries: The checkpoint's top level.
        training: The training configuration.
        family: The library and its releases.
        crelu: What this release calls ``crelu``; None where that cannot be told.

    Raises:
        UsageError: Something the policy needs is missing, contradictory or not supported.
    """
    role = actor.role
    check_class(training, actor.class_paths, actor.classes, "rsl_rl")
    for section in (role, "policy"):
        check_keys(training, section, KEYS, "rsl_rl")
    _check_recurrent(actor, training)
    linears = mlp_chain(actor.layers, role)
    check_hidden_sizes(linears, training, training.agreed(f"{role}.hidden_dims", f"policy.{role}_hidden_dims"))
    activations, source = training.activations(
        len(linears) - 1, training.agreed(f"{role}.activation", "policy.activation")
    )
    return PolicyParts(
        family=family,
        linears=linears,
        activations=_plain(activations, crelu, source),
        activation_source=source,
        normalizer=_normalizer(actor, training),
        output=_output(actor, training, rows=linears[-1].weight.shape[0]),
        rnn=recurrent_stack(actor.recurrent, role) if actor.recurrent else None,
        output_limit=training.output_limit("clip_actions"),
        iteration=iteration_in(entries),
        entries_read=actor.read,
        assumptions=nothing_told(training, "rsl_rl"),
    )


def _check_recurrent(actor: ActorEntries, training: TrainingConfig) -> None:
    """Refuse a configuration of a policy with a memory beside weights without, and the other way round.

    Raises:
        UsageError: It is of another policy; nothing else that it says would then be true of this one.
    """
    named = str(training.value(*actor.class_paths) or "")
    if named and ("Recurrent" in named or "RNN" in named) != bool(actor.recurrent):
        raise UsageError(
            f"the configuration beside the checkpoint is of another network: {named}, where the file has "
            f"{'a' if actor.recurrent else 'no'} recurrent part",
            source=str(training.agent_file),
            hint="put the configuration of the run that made this checkpoint beside it",
        )


def _plain(activations: tuple[str, ...], crelu: str | None, source: str) -> tuple[str, ...]:
    """Return activations with ``crelu``, which means two things, replaced by what it stands for.

    Raises:
        UsageError: Which one cannot be told.
    """
    if "crelu" not in [name.lower() for name in activations]:
        return activations
    if crelu is None:
        raise UsageError(
            "'crelu' is ReLU in rsl_rl 1.x and CELU from 2.0 on, and nothing tells which release wrote the checkpoint",
            source=source,
            hint="--activation relu or --activation celu",
        )
    return tuple(crelu if name.lower() == "crelu" else name for name in activations)


def _normalizer(actor: ActorEntries, training: TrainingConfig) -> Normalizer | None:
    """Read ``(obs - mean) / (std + 0.01)``."""
    where, paths = actor.normalizer_key, _normalization_paths(actor.role)
    expected = training.says_normalized(training.value(*paths))
    if not actor.normalizer:
        if _left_unset(training, paths):
            return None
        if expected or (expected is None and actor.normalized_other):
            raise missing_normalizer(where, training, expected, other=actor.normalized_other)
        return None
    if expected is False:
        raise unused_normalizer(where, training)
    absent = [name for name in ("_mean", "_std") if name not in actor.normalizer]
    if absent:
        raise UsageError(f"the checkpoint's observation normaliser is not whole: {where}.{absent[0]} is missing")
    mean, std = (actor.normalizer[name].reshape(-1).float() for name in ("_mean", "_std"))
    if bool((std < 0).any()):
        raise UsageError(f"the checkpoint's {where}._std has negative values")
    return Normalizer("empirical", mean, std, EPS)


def _normalization_paths(role: str) -> tuple[str, str, str]:
    return f"{role}.obs_normalization", f"policy.{role}_obs_normalization", "empirical_normalization"


def _left_unset(training: TrainingConfig, paths: tuple[str, ...]) -> bool:
    """Whether a policy was trained without a normaliser because the field that asks for one was never set.

    rsl_rl 3 and later look at ``empirical_normalization`` where ``actor_obs_normalization is None``. The ``{}`` that
    Isaac Lab writes for a field that was never set is not None there, and counts as no.
    """
    recorded = training.marker is not None and training.marker.obs_normalization
    return not recorded and any(training.written(path) == {} for path in paths[:2])


def _output(actor: ActorEntries, training: TrainingConfig, rows: int) -> Output:
    """Return what the last layer gives: a mean, a mean with its spread, or a Beta distribution's parameters."""
    role = actor.role
    config = training.value(f"{role}.distribution_cfg")
    check_class(training, (f"{role}.distribution_cfg.class_name",), tuple(DISTRIBUTIONS), "rsl_rl")
    if actor.has_std:
        return Output("gaussian")
    name = str(config.get("class_name", "")) if isinstance(config, Mapping) else ""
    if "Heteroscedastic" in name or training.agreed(f"{role}.state_dependent_std", "policy.state_dependent_std"):
        return Output("state_dependent_gaussian")
    if "Beta" in name:
        return Output("beta", bounds=_beta_range(config.get("action_range"), training))
    if rows % 2 or training.agent or role == "student":
        return Output("deterministic")
    raise unclear_output(rows, training)


def _beta_range(configured: Any, training: TrainingConfig) -> tuple[float, float]:
    """Return the range of a Beta distribution's actions; rsl_rl's default is [-1, 1]."""
    if not configured:
        return (-1.0, 1.0)
    numbers = configured if isinstance(configured, list) else []
    if len(numbers) != 2 or not all(isinstance(bound, int | float) and abs(bound) <= LARGEST for bound in numbers):
        raise UsageError(f"the action range is not a pair of numbers: {configured!r}", source=str(training.agent_file))
    return float(numbers[0]), float(numbers[1])


def iteration_in(entries: Mapping[str, object]) -> int | None:
    """Return the iteration that a checkpoint was saved at, where it says so."""
    found = entries.get("iter", entries.get("epoch"))
    if isinstance(found, torch.Tensor) and found.numel() == 1:
        return int(found)
    return found if isinstance(found, int) else None
