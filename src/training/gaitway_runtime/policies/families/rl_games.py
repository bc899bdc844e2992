"""rl_games ``.pth`` files: ``model`` with ``a2c_network.actor_mlp.*``, ``a2c_network.mu.*``, ``running_mean_std.*``.

Its player clamps the mean to [-1, 1] and stretches that to the action space, unless ``config.clip_actions`` is false;
the bounds of the space are in the configuration (``params.env.clip_actions``), not in the file.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch

from ...spec.errors import UsageError
from ..network import Normalizer, Output, PolicyParts
from ..training_config import TrainingConfig
from ..weights import OWN_FAMILY, StateDict, has_entry, linear_chain, mlp_chain, refuse_unread, state_dict, take
from .checks import check_hidden_sizes, check_keys, unused_normalizer
from .rsl_rl_common import iteration_in

NAME = "rl_games"

_EPSILON, _CLIP = 1e-5, 5.0
"""Constants of rl_games' ``RunningMeanStd``: ``clamp((obs - mean) / sqrt(var + 1e-5), -5, 5)``."""

_OTHERS = ("a2c_network.value.", "a2c_network.critic_mlp.", "a2c_network.sigma", "value_mean_std.")


def recognises(entries: Mapping[str, object]) -> bool:
    """Whether the checkpoint is rl_games'."""
    return has_entry(entries.get("model"), "a2c_network.")


def read(entries: Mapping[str, object], training: TrainingConfig) -> PolicyParts:
    """Read the actor.

    Raises:
        UsageError: It is recurrent, convolutional or discrete, or the configuration that names its clamp is missing.
    """
    state = state_dict(entries, "model")
    if "a2c_network.mu.weight" not in state:
        raise UsageError("the rl_games policy has no layer 'mu': discrete actions are not supported")
    mine = ("a2c_network.actor_mlp.", "a2c_network.mu.", "running_mean_std.")
    refuse_unread(state, (*mine, *_OTHERS), "policy")
    if not training.agent and training.marker is None:
        raise UsageError(
            "rl_games clamps and stretches the policy's outputs as its configuration says, and there is none beside "
            "the checkpoint",
            source="; ".join(training.searched),
            hint="put the run's params/agent.yaml beside the checkpoint",
        )
    trunk = mlp_chain(take(state, "a2c_network.actor_mlp."), "policy")
    head = linear_chain({f"0.{name}": value for name, value in take(state, "a2c_network.mu.").items()}, "policy")
    _check_layers(state, training)
    check_hidden_sizes((*trunk, *head), training, training.value("params.network.mlp.units"))
    activations, source = training.activations(len(trunk), training.value("params.network.mlp.activation"))
    return PolicyParts(
        family=NAME,
        linears=(*trunk, *head),
        activations=activations,
        activation_source=source,
        normalizer=_normalizer(state, training),
        output=_output(training),
        input_limit=_finite(training.number("params.env.clip_observations")),
        iteration=iteration_in(entries),
        entries_read=frozenset({"model"}),
    )


def _finite(limit: float | None) -> float | None:
    return limit if limit is not None and math.isfinite(limit) else None


_NETWORK_KEYS = frozenset(["name", "separate", "value_activation", "normalization", "space", "mlp", "rnn", "cnn"])
_MLP_KEYS = frozenset(["units", "activation", "d2rl", "initializer", "regularizer", "norm_only_first_layer"])
"""What rl_games' own network builder takes."""


def _check_layers(state: StateDict, training: TrainingConfig) -> None:
    check_keys(training, "params.network", _NETWORK_KEYS, "rl_games")
    check_keys(training, "params.network.mlp", _MLP_KEYS, "rl_games")
    for path in ("params.network.rnn", "params.network.cnn", "params.network.mlp.d2rl"):
        if training.value(path):
            raise UsageError(
                f"rl_games policies with {path} are not supported", source=str(training.agent_file), hint=OWN_FAMILY
            )
    model = training.value("params.model.name")
    if model not in (None, "continuous_a2c", "continuous_a2c_logstd"):
        raise UsageError(
            f"the policy is an rl_games model '{model}', which may compute something else",
            source=f"{training.agent_file}: params.model.name",
            allowed="continuous_a2c, continuous_a2c_logstd",
        )
    builder = training.value("params.network.name")
    if builder not in (None, "actor_critic"):
        raise UsageError(
            f"the policy was built by '{builder}', which is not rl_games' own and may compute anything",
            source=f"{training.agent_file}: params.network.name",
            allowed="actor_critic",
        )


def _output(training: TrainingConfig) -> Output:
    """Return what the player and Isaac Lab's wrapper make of the mean: a clamp, and a stretch to the action space.

    Raises:
        UsageError: The player stretches, and the bounds of the action space are not told.
    """
    name = training.value("params.network.space.continuous.mu_activation")
    squash = None if name in (None, "None", "none") else str(name)
    limit = training.number("params.env.clip_actions")
    if training.value("params.config.clip_actions") is False:
        bound = math.inf if limit is None else limit
        return Output("gaussian", squash=squash, low=(-bound,), high=(bound,))
    if limit is None or not 0 < limit < math.inf:
        raise UsageError(
            "the rl_games policy is stretched to an action space whose bounds its configuration does not name",
            source=f"{training.agent_file}: params.env.clip_actions",
        )
    return Output("gaussian", squash=squash, scale=(limit,), low=(-limit,), high=(limit,))


def _normalizer(state: StateDict, training: TrainingConfig) -> Normalizer | None:
    statistics = take(state, "running_mean_std.")
    expected = training.says_normalized(training.value("params.config.normalize_input"))
    if not statistics:
        if expected:
            raise UsageError("the checkpoint has no running_mean_std, which its configuration says it was trained with")
        return None
    if not {"running_mean", "running_var"} <= set(statistics):
        raise UsageError("the checkpoint's observation normaliser is not whole: running_mean_std")
    if expected is False:
        raise unused_normalizer("running_mean_std", training)
    mean, variance = (statistics[name].reshape(-1).double() for name in ("running_mean", "running_var"))
    return Normalizer("running_mean_std", mean.float(), torch.sqrt(variance + _EPSILON).float(), 0.0, _CLIP)
