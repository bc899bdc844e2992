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

from ...errors import UsageError
from ..network import ACTIVATIONS, Normalizer, Output, Parts
from ..surroundings import Surroundings
from ..weights import Linear, StateDict, has_entry, linear_chain, refuse_unread, state_dict, take
from .evidence import check_hidden_sizes, missing_normalizer, unclear_output

NAME = "skrl 1.4-2.x"

_OUTPUT_LAYERS = ("policy_layer", "mean_layer", "output_layer")
_SKRL_ACTIVATIONS = {"elu", "leaky_relu", "relu", "selu", "sigmoid", "softmax", "softplus", "softsign", "tanh"}
"""What skrl's model instantiators know; any other name gives no activation there, silently."""

_EPSILON, _CLIP = 1e-8, 5.0
"""Defaults of skrl's ``RunningStandardScaler``; neither is in the file."""

_OUTPUT_EXPRESSION = re.compile(r"(?:(?P<scale>\d+(?:\.\d*)?)\s*\*\s*)?(?:(?P<squash>\w+)\(\s*ACTIONS\s*\)|ACTIONS)")


def recognises(checkpoint: Mapping[str, Any]) -> bool:
    """Whether the checkpoint has a skrl agent's policy."""
    policy = checkpoint.get("policy")
    return isinstance(policy, Mapping) and any(_is_layer(name) for name in policy)


def read(checkpoint: Mapping[str, Any], around: Surroundings) -> Parts:
    """Read the policy, alone or out of a shared model."""
    state = state_dict(checkpoint, "policy")
    container = _container(state)
    head = next((name for name in _OUTPUT_LAYERS if f"{name}.weight" in state), None)
    mine = (f"{container}.", "log_std_parameter", "value_layer.", *([f"{head}."] if head else []))
    refuse_unread(state, mine, "policy")
    trunk = linear_chain(take(state, f"{container}."), "policy")
    linears = (*trunk, *linear_chain(_as_layer(state, head), "policy")) if head else trunk
    network = _network(around)
    check_hidden_sizes(linears, around, network.get("layers"))
    activations, source = _activations(trunk, len(linears) - 1, around, network.get("activations"))
    return Parts(
        family=NAME,
        linears=linears,
        activations=activations,
        activation_source=source,
        normalizer=_scaler(checkpoint, around),
        output=_output(state, around, rows=linears[-1].weight.shape[0]),
        output_limit=_limit(around),
    )


def _is_layer(name: object) -> bool:
    return re.fullmatch(r"\w+\.\d+\.weight", str(name)) is not None


def _container(state: StateDict) -> str:
    names = sorted({name.split(".")[0] for name in state if _is_layer(name)})
    if len(names) != 1:
        raise UsageError(
            f"the checkpoint's policy is made of several networks ({', '.join(names)}), not one after another"
        )
    return names[0]


def _as_layer(state: StateDict, name: str) -> StateDict:
    """Return a layer that stands alone as a chain of one."""
    return {f"0.{leaf}": tensor for leaf, tensor in take(state, f"{name}.").items()}


def _network(around: Surroundings) -> Mapping[str, Any]:
    """Return the configuration's description of the policy's network; empty where there is none."""
    networks = around.config("models.policy.network")
    first = networks[0] if isinstance(networks, list) and networks else None
    return first if isinstance(first, Mapping) else {}


def _activations(
    trunk: tuple[Linear, ...], count: int, around: Surroundings, configured: Any
) -> tuple[tuple[str, ...], str]:
    """Return the activation after each hidden layer; two layers without a gap between them have none."""
    names = [configured] if isinstance(configured, str) else configured
    if isinstance(names, list):
        names = [name if str(name) in _SKRL_ACTIVATIONS else "identity" for name in names or [""]]
    told, source = around.activations(count, names)
    plain = [index < len(trunk) - 1 and not layer.followed for index, layer in enumerate(trunk)]
    return tuple("identity" if plain[index] else name for index, name in enumerate(told)), source


def _scaler(checkpoint: Mapping[str, Any], around: Surroundings) -> Normalizer | None:
    """Read ``clamp((obs - mean) / (sqrt(variance) + 1e-8), -5, 5)``."""
    agent = around.config("agent")
    agent = agent if isinstance(agent, Mapping) else {}
    # From 2.x on, a configuration that names observation_preprocessor means the critic's by state_preprocessor.
    mine = "observation_preprocessor" if "observation_preprocessor" in agent else "state_preprocessor"
    expected = around.says_normalized(bool(agent.get(mine)) if agent else None)
    candidates = ["observation_preprocessor"] + (["state_preprocessor"] if mine == "state_preprocessor" else [])
    key = next((name for name in candidates if has_entry(checkpoint.get(name))), None)
    if key is None:
        if expected or (expected is None and has_entry(checkpoint.get("value_preprocessor"))):
            raise missing_normalizer(" or ".join(candidates), around, expected, other="value function")
        return None
    state = state_dict(checkpoint, key)
    absent = [name for name in ("running_mean", "running_variance") if name not in state]
    if absent:
        raise UsageError(f"the checkpoint's observation scaler is not whole: {key}.{absent[0]} is missing")
    epsilon = around.number(f"agent.{mine}_kwargs.epsilon")
    clip = around.number(f"agent.{mine}_kwargs.clip_threshold")
    mean, variance = (state[name].reshape(-1).float() for name in ("running_mean", "running_variance"))
    return Normalizer(
        "running_standard_scaler",
        mean,
        torch.sqrt(variance),
        _EPSILON if epsilon is None else epsilon,
        _CLIP if clip is None else clip if math.isfinite(clip) else None,
    )


def _output(state: StateDict, around: Surroundings, rows: int) -> Output:
    kind = str(around.config("models.policy.class") or "")
    if "Categorical" in kind:
        raise UsageError(f"the checkpoint's policy chooses among discrete actions ({kind}), which is not supported")
    if "log_std_parameter" not in state and not kind:
        raise unclear_output(rows, around)
    expression = str(around.config("models.policy.output") or "ACTIONS").strip()
    found = _OUTPUT_EXPRESSION.fullmatch(expression)
    squash = found["squash"] if found else None
    if found is None or (squash is not None and squash not in ACTIVATIONS):
        raise UsageError(
            f"the policy's output expression is not supported: '{expression}'",
            source=str(around.agent_file),
            allowed="ACTIONS, tanh(ACTIONS), 2.0 * tanh(ACTIONS)",
        )
    distribution = "gaussian" if "log_std_parameter" in state else "deterministic"
    return Output(distribution, squash=squash, scale=float(found["scale"] or 1.0))


def _limit(around: Surroundings) -> float | None:
    """Return the output clamp. skrl's ``clip_actions`` clips samples alone; ``clip_mean_actions`` clips the mean."""
    limit = around.output_limit()
    if limit is None and around.config("models.policy.clip_mean_actions") is True:
        raise UsageError(
            "the policy clips its mean to the action space, whose bounds are in no file",
            source=f"{around.agent_file}: models.policy.clip_mean_actions",
        )
    return limit
