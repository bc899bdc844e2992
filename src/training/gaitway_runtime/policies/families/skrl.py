"""skrl 1.4 and 2.x: one state dict a module under ``policy``, ``value``, the preprocessors' names.

A shared model has ``<name>_container.*`` as trunk and ``policy_layer`` as output; a policy of its own has its output
as the last layer of the container. The observations' scaler is ``observation_preprocessor`` in 2.x and
``state_preprocessor`` in 1.x, where 2.x means the critic's privileged state by that name.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

import torch

from ...spec.errors import UsageError
from ..expressions import input_pieces, output_terms, selection
from ..network import Normalizer, Output, PolicyParts
from ..training_config import TrainingConfig
from ..weights import DESCRIBE, Linear, StateDict, has_entry, linear_chain, refuse_unread, state_dict, take
from .checks import check_class, check_hidden_sizes, check_keys, missing_normalizer, nothing_told, unclear_output

NAME = "skrl 1.4-2.x"

_OUTPUT_LAYERS = ("policy_layer", "mean_layer", "output_layer")
_SKRL_ACTIVATIONS = {"elu", "leaky_relu", "relu", "selu", "sigmoid", "softmax", "softplus", "softsign", "tanh"}
"""What skrl's model instantiators know; any other name gives no activation there, silently."""

_EPSILON, _CLIP = 1e-8, 5.0
"""Defaults of skrl's ``RunningStandardScaler``; neither is in the file."""

_CLASSES = (
    "GaussianMixin",
    "MultivariateGaussianMixin",
    "DeterministicMixin",
    "CategoricalMixin",
    "MultiCategoricalMixin",
)


_KEYS = frozenset(
    [
        "class",
        "clip_actions",
        "clip_mean_actions",
        "clip_log_std",
        "min_log_std",
        "max_log_std",
        "reduction",
        "initial_log_std",
        "fixed_log_std",
        "network",
        "output",
        "hiddens",
        "hidden_activation",
        "input_shape",
        "output_shape",
        "output_activation",
        "output_scale",
    ]
)
"""What skrl's model instantiators take; the last six until 1.2."""


def recognises(entries: Mapping[str, object]) -> bool:
    """Whether the checkpoint has a skrl agent's policy, or those of several agents."""
    return _is_policy(entries.get("policy")) or bool(_agents(entries))


def read(entries: Mapping[str, object], training: TrainingConfig) -> PolicyParts:
    """Read the policy, alone or out of a shared model."""
    if not _is_policy(entries.get("policy")):
        raise UsageError(
            f"the checkpoint is of several skrl agents ({', '.join(_agents(entries))}), one policy each",
            hint="save one of them alone: torch.save(checkpoint['AGENT'], 'model.pt')",
        )
    state = state_dict(entries, "policy")
    container = _container(state)
    head = next((name for name in _OUTPUT_LAYERS if f"{name}.weight" in state), None)
    mine = (f"{container}.", "log_std_parameter", "value_layer.", *([f"{head}."] if head else []))
    refuse_unread(state, mine, "policy")
    trunk = linear_chain(take(state, f"{container}."), "policy")
    linears = (*trunk, *linear_chain(_as_layer(state, head), "policy")) if head else trunk
    check_keys(training, "models.policy", _KEYS, "skrl")
    network = _network(training)
    check_hidden_sizes(linears, training, network.get("layers"))
    activations, source = _activations(trunk, len(linears) - 1, training, network.get("activations"))
    scaler_key, scaler = _scaler(entries, training)
    return PolicyParts(
        family=NAME,
        linears=linears,
        activations=activations,
        activation_source=source,
        normalizer=scaler,
        output=_output(state, training, rows=linears[-1].weight.shape[0]),
        output_limit=_limit(training),
        selection=_selection(network, linears, scaler, training, of_2=_is_of_2(entries, training)),
        entries_read=frozenset({"policy", scaler_key, *_other_scalers(entries, training)}),
        assumptions=nothing_told(training, "skrl"),
    )


def _is_policy(state: object) -> bool:
    return isinstance(state, Mapping) and any(_is_layer(name) for name in state)


def _agents(entries: Mapping[str, object]) -> list[str]:
    """Return the names of the agents of a multi-agent checkpoint."""
    return [
        str(key) for key, value in entries.items() if isinstance(value, Mapping) and _is_policy(value.get("policy"))
    ]


def _is_layer(name: object) -> bool:
    return re.fullmatch(r"\w+\.\d+\.weight", str(name)) is not None


def _container(state: StateDict) -> str:
    names = sorted({name.split(".")[0] for name in state if _is_layer(name)})
    if len(names) != 1:
        raise UsageError(
            f"the checkpoint's policy is made of several networks ({', '.join(names)}), not one after another",
            hint=DESCRIBE,
        )
    return names[0]


def _as_layer(state: StateDict, name: str) -> StateDict:
    """Return a layer that stands alone as a chain of one."""
    return {f"0.{leaf}": tensor for leaf, tensor in take(state, f"{name}.").items()}


def _network(training: TrainingConfig) -> Mapping[str, object]:
    """Return the configuration's description of the policy's network; empty where there is none."""
    networks = training.value("models.policy.network")
    if isinstance(networks, list) and len(networks) > 1:
        raise UsageError(
            f"the configuration describes a policy of {len(networks)} networks, which is not supported",
            source=f"{training.agent_file}: models.policy.network",
            hint=DESCRIBE,
        )
    if networks is None:
        return _network_until_1_2(training)
    first = networks[0] if isinstance(networks, list) and networks else None
    if isinstance(first, Mapping) and (unknown := set(first) - {"name", "input", "layers", "activations"}):
        raise UsageError(
            f"the configuration describes the policy's network by words that skrl does not have: {sorted(unknown)[0]}",
            source=f"{training.agent_file}: models.policy.network",
            hint=DESCRIBE,
        )
    return first if isinstance(first, Mapping) else {}


def _network_until_1_2(training: TrainingConfig) -> Mapping[str, object]:
    """Return the description of a network as skrl 1.0 to 1.2 wrote it."""
    shape = str(training.value("models.policy.input_shape") or "Shape.STATES")
    if shape.rpartition(".")[2] not in ("STATES", "OBSERVATIONS"):
        raise UsageError(
            f"the policy takes {shape}, not the observations", source=f"{training.agent_file}: input_shape"
        )
    hiddens, names = (training.value(f"models.policy.{key}") for key in ("hiddens", "hidden_activation"))
    return {"layers": hiddens, "activations": names} if names else {}


def _selection(
    network: Mapping[str, object],
    linears: tuple[Linear, ...],
    scaler: Normalizer | None,
    training: TrainingConfig,
    *,
    of_2: bool,
) -> torch.Tensor | None:
    """Return what ``network[].input`` makes of the observations.

    Raises:
        UsageError: It reads the privileged states: from 2.x on (``of_2``) STATES are another vector than OBSERVATIONS.
    """
    expression, source = network.get("input"), f"{training.agent_file}: models.policy.network[0].input"
    if expression is None:
        return None
    read = set(re.findall(r"\b(?:STATES|OBSERVATIONS)\b", str(expression)))
    if "STATES" in read and (of_2 or len(read) > 1):
        raise UsageError(
            f"the policy reads the environment's states, not its observations alone: '{expression}'",
            source=source,
            allowed="OBSERVATIONS",
            hint="a robot has observations alone; in a configuration of skrl 1.x STATES are those, without "
            "an observation_preprocessor beside",
        )
    width = scaler.mean.numel() if scaler else None
    pieces = input_pieces(str(expression), source)
    return selection(pieces, int(linears[0].weight.shape[1]), width, source)


def _activations(
    trunk: tuple[Linear, ...], count: int, training: TrainingConfig, configured: Any
) -> tuple[tuple[str, ...], str]:
    """Return the activation after each hidden layer; two layers without a gap between them have none."""
    names = [configured] if isinstance(configured, str) else configured
    if isinstance(names, list):
        names = [name if str(name) in _SKRL_ACTIVATIONS else "identity" for name in names or [""]]
    told, source = training.activations(count, names)
    plain = [index < len(trunk) - 1 and not layer.followed for index, layer in enumerate(trunk)]
    return tuple("identity" if plain[index] else name for index, name in enumerate(told)), source


def _preprocessor(training: TrainingConfig) -> str:
    """Return the configuration's name of the observations' scaler.

    From 2.x on, a configuration that names ``observation_preprocessor`` means the critic's by ``state_preprocessor``.
    """
    agent = training.value("agent")
    named = isinstance(agent, Mapping) and "observation_preprocessor" in agent
    return "observation_preprocessor" if named else "state_preprocessor"


def _is_of_2(entries: Mapping[str, object], training: TrainingConfig) -> bool:
    """Whether something says that skrl 2.x wrote the checkpoint: an observation preprocessor, which 1.x lacks."""
    return "observation_preprocessor" in entries or _preprocessor(training) == "observation_preprocessor"


def _other_scalers(entries: Mapping[str, object], training: TrainingConfig) -> tuple[str, ...]:
    """Return the scalers in the file that are the critic's."""
    both = _is_of_2(entries, training)
    return ("state_preprocessor", "shared_state_preprocessor") if both else ("shared_state_preprocessor",)


def _scaler(entries: Mapping[str, object], training: TrainingConfig) -> tuple[str, Normalizer | None]:
    """Read ``clamp((obs - mean) / (sqrt(variance) + 1e-8), -5, 5)``; return its entry's name with it."""
    mine, agent = _preprocessor(training), training.value("agent")
    expected = training.says_normalized(bool(agent.get(mine)) if isinstance(agent, Mapping) else None)
    check_class(training, (f"agent.{mine}",), ("RunningStandardScaler",), "skrl")
    candidates = ["observation_preprocessor"] + (["state_preprocessor"] if mine == "state_preprocessor" else [])
    key = next((name for name in candidates if has_entry(entries.get(name))), None)
    if key is None:
        if expected or (expected is None and has_entry(entries.get("value_preprocessor"))):
            raise missing_normalizer(" or ".join(candidates), training, expected, other="value function")
        return "", None
    state = state_dict(entries, key)
    absent = [name for name in ("running_mean", "running_variance") if name not in state]
    if absent:
        raise UsageError(f"the checkpoint's observation scaler is not whole: {key}.{absent[0]} is missing")
    epsilon = training.number(f"agent.{mine}_kwargs.epsilon")
    clip = training.number(f"agent.{mine}_kwargs.clip_threshold")
    mean, variance = (state[name].reshape(-1).float() for name in ("running_mean", "running_variance"))
    return key, Normalizer(
        "running_standard_scaler",
        mean,
        torch.sqrt(variance),
        _EPSILON if epsilon is None else epsilon,
        _CLIP if clip is None else clip if math.isfinite(clip) else None,
    )


def _output(state: StateDict, training: TrainingConfig, rows: int) -> Output:
    kind = str(training.value("models.policy.class") or "")
    check_class(training, ("models.policy.class",), _CLASSES, "skrl")
    if "Categorical" in kind:
        raise UsageError(f"the checkpoint's policy chooses among discrete actions ({kind}), which is not supported")
    if "log_std_parameter" not in state and not kind:
        raise unclear_output(rows, training)
    scale, squash = output_terms(_output_expression(training), f"{training.agent_file}: models.policy.output")
    distribution = "gaussian" if "log_std_parameter" in state else "deterministic"
    return Output(distribution, squash=squash, scale=(scale,))


def _output_expression(training: TrainingConfig) -> str:
    """Return what becomes of the last layer; skrl 1.0 to 1.2 squashed by tanh where nothing else was said."""
    told = training.value("models.policy.output")
    if told is not None or not _network_until_1_2(training):
        return str(told or "ACTIONS")
    section = training.value("models.policy")
    squash = section.get("output_activation", "tanh") or ""
    scale = training.number("models.policy.output_scale")
    return f"{1.0 if scale is None else scale} * {squash}(ACTIONS)" if squash else f"{scale or 1.0} * ACTIONS"


def _limit(training: TrainingConfig) -> float | None:
    """Return the output clamp. skrl's ``clip_actions`` clips samples alone; ``clip_mean_actions`` clips the mean."""
    limit = training.output_limit()
    if limit is None and training.value("models.policy.clip_mean_actions") is True:
        raise UsageError(
            "the policy clips its mean to the action space, whose bounds are in no file",
            source=f"{training.agent_file}: models.policy.clip_mean_actions",
        )
    return limit
