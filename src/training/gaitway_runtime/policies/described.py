"""Reader of a network that its owner describes: a plain ``torch.nn.Module``'s state dict and a ``network.yaml``.

The description covers what no known library wrote: CleanRL's scripts, forks with keys of their own, one's own trainer.

    weights: actor_state_dict          # entry with the state dict, dotted; left out: the file itself is the state dict
    layers: [body.0, body.2, head]     # linear layers in order; or one prefix, `actor.`, of a torch.nn.Sequential
    activation: elu                    # after every layer but the last, or one name for each
    layer_norm:                        # left out: there is none
      layers: [body.1, body.4]         # one for each layer, from the first on
      epsilon: 1.0e-5
      activated: false                 # whether it stands behind the activation
    output: 2.0 * tanh(ACTIONS)        # what becomes of the last layer; left out: nothing
    clip_actions: 1.0                  # clamp on the actions
    normalizer:                        # left out: the network takes observations as they are
      entry: obs_rms                   # entry with the statistics, or `values:` with lists
      mean: running_mean
      variance: running_var            # or `std:`
      epsilon: 1.0e-8                  # added to the variance, or with `std:` to the deviation
      clip: 5.0
    inputs: [base_ang_vel: 3, joint_pos: 12]   # names and sizes of the observations, in order
    ignore: [estimator_state_dict]     # other entries with weights that play no part when the policy acts
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from ..spec.contract import ObservationTerm, PolicyContract
from ..spec.decoding import decode
from ..spec.errors import UsageError
from .expressions import output_terms
from .network import Normalizer, Output, PolicyParts
from .plain_numpy import PlainArray
from .training_config import TrainingConfig
from .weights import LayerNorm, Linear, StateDict, linear_chain, mlp_chain, state_dict, take, tensor_of

NAME = "described in network.yaml"


@dataclass(frozen=True, kw_only=True)
class Statistics:
    """Observation statistics of a network description."""

    mean: str | tuple[float, ...]
    """Name inside ``entry``, or the values."""
    std: str | tuple[float, ...] | None = None
    variance: str | tuple[float, ...] | None = None
    entry: str = ""
    epsilon: float = 0.0
    clip: float | None = None


@dataclass(frozen=True, kw_only=True)
class LayerNorms:
    """Layer normalisations of a network description."""

    layers: tuple[str, ...]
    epsilon: float = 1e-5
    """Torch's own, unless somebody chose another."""
    activated: bool = False


@dataclass(frozen=True, kw_only=True)
class NetworkDescription:
    """Contents of ``network.yaml``."""

    weights: str = ""
    layers: str | tuple[str, ...]
    activation: str | tuple[str, ...]
    layer_norm: LayerNorms | None = None
    output: str = "ACTIONS"
    output_scale: str | tuple[float, ...] | None = None
    """Factor of each action after ``output``: a name among the weights, or the values."""
    output_offset: str | tuple[float, ...] | None = None
    """Added after that, likewise."""
    clip_actions: float | None = None
    normalizer: Statistics | None = None
    inputs: tuple[Mapping[str, int], ...] = ()
    ignore: tuple[str, ...] = ()
    training: str = ""
    """Free text on where the policy comes from."""


def read(entries: Mapping[str, object], training: TrainingConfig) -> PolicyParts:
    """Read the network that ``training.network`` describes.

    Raises:
        UsageError: The description does not fit the file, or is not valid; the error names the field.
    """
    source = str(training.network_file)
    told: NetworkDescription = decode(NetworkDescription, training.network, source)
    state = _state(entries, told.weights, source)
    if told.layer_norm is not None and isinstance(told.layers, str):
        raise UsageError("layer_norm needs the layers by name", source=f"{source}: layers", allowed="[body.0, body.3]")
    linears, read_names = _layers(state, told.layers, source)
    if told.layer_norm is not None:
        linears, more = _with_norms(linears, told.layer_norm, state, source)
        read_names |= more
    output, more = _output(told, state, source)
    read_names |= more
    left = [name for name in state if name not in read_names and not _ignored(name, told.ignore)]
    if left:
        raise UsageError(
            f"the description leaves out '{left[0]}'",
            source=f"{source}: layers, ignore",
            hint="name it among the layers, or under ignore if it plays no part when the policy acts",
        )
    chosen = told.activation if isinstance(told.activation, str) else list(told.activation)
    activations, _ = training.activations(len(linears) - 1, chosen, training.network_file)
    _check_inputs(told, int(linears[0].weight.shape[1]), source)
    return PolicyParts(
        family=NAME,
        linears=linears,
        activations=activations,
        activation_source=source,
        normalizer=_normalizer(entries, told.normalizer, source) if told.normalizer else None,
        output=output,
        output_limit=told.clip_actions,
        contract=_contract(told) if told.inputs else None,
        entries_read=_entries_read(entries, told),
    )


def _output(told: NetworkDescription, state: StateDict, source: str) -> tuple[Output, set[str]]:
    """Return what becomes of the last layer, and the names in the state dict that it is made of.

    CleanRL's actors keep ``action_scale`` and ``action_bias`` among their weights.
    """
    factor, squash = output_terms(told.output, f"{source}: output")
    scale, offset = (1.0,), (0.0,)
    if told.output_scale is not None:
        scale = tuple(_values(told.output_scale, state, f"{source}: output_scale").tolist())
    if told.output_offset is not None:
        offset = tuple(_values(told.output_offset, state, f"{source}: output_offset").tolist())
    names = {told_name for told_name in (told.output_scale, told.output_offset) if isinstance(told_name, str)}
    scaled = tuple(factor * value for value in scale)
    return Output("deterministic", squash=squash, scale=scaled, offset=offset), names


def _contract(told: NetworkDescription) -> PolicyContract:
    """Return a contract that knows the inputs' names and sizes and nothing else."""
    terms, start = [], 0
    for name, size in ((name, size) for entry in told.inputs for name, size in entry.items()):
        terms.append(ObservationTerm(name=name, start=start, stop=start + size))
        start += size
    plain = PolicyContract.of_unknown_task()
    unknown = tuple(section for section in plain.unknown if section != "observations")
    return dataclasses.replace(plain, observations=tuple(terms), unknown=unknown)


def _ignored(name: str, ignore: tuple[str, ...]) -> bool:
    return any(name == entry or name.startswith(f"{entry.rstrip('.')}.") for entry in ignore)


def _entries_read(entries: Mapping[str, object], told: NetworkDescription) -> frozenset[str]:
    statistics = told.normalizer.entry if told.normalizer else ""
    named = [told.weights, statistics, *told.ignore]
    return frozenset(entries) if not told.weights else frozenset(name.split(".")[0] for name in named if name)


def _state(entries: Mapping[str, object], path: str, source: str) -> StateDict:
    found: Any = entries
    parts = path.split(".") if path else []
    for part in parts[:-1]:
        found = found.get(part) if isinstance(found, Mapping) else None
    if not parts:
        all_of_it = {key: tensor_of(value) for key, value in entries.items()}
        return state_dict({"the file": {k: v for k, v in all_of_it.items() if isinstance(v, torch.Tensor)}}, "the file")
    if not isinstance(found, Mapping) or parts[-1] not in found:
        raise UsageError(
            f"the checkpoint has no entry '{path}'", source=f"{source}: weights", allowed=", ".join(map(str, entries))
        )
    return state_dict(found, parts[-1])


def _layers(state: StateDict, told: str | tuple[str, ...], source: str) -> tuple[tuple[Linear, ...], set[str]]:
    """Return the linear layers, and the names in the state dict that they are made of."""
    if isinstance(told, str):
        prefix = told if told.endswith(".") else f"{told}."
        return mlp_chain(take(state, prefix), told), {name for name in state if name.startswith(prefix)}
    chain: dict[str, torch.Tensor] = {}
    names: set[str] = set()
    for number, layer in enumerate(told):
        found = {leaf: f"{layer}.{leaf}" for leaf in ("weight", "bias") if f"{layer}.{leaf}" in state}
        if "weight" not in found:
            raise UsageError(
                f"the checkpoint has no layer '{layer}'",
                source=f"{source}: layers",
                allowed=", ".join(name.removesuffix(".weight") for name in state if name.endswith(".weight")),
            )
        chain |= {f"{2 * number}.{leaf}": state[name] for leaf, name in found.items()}
        names |= set(found.values())
    return linear_chain(chain, "policy"), names


def _with_norms(
    linears: tuple[Linear, ...], told: LayerNorms, state: StateDict, source: str
) -> tuple[tuple[Linear, ...], set[str]]:
    """Return linear layers with their normalisations, and the names in the state dict that those are made of."""
    if len(told.layers) > len(linears):
        raise UsageError(
            f"there are {len(told.layers)} normalisations for {len(linears)} layers", source=f"{source}: layer_norm"
        )
    found, names = list(linears), set[str]()
    for number, name in enumerate(told.layers):
        weight, bias = state.get(f"{name}.weight"), state.get(f"{name}.bias")
        width = (len(linears[number].weight),)
        if weight is None or weight.shape != width or (bias is not None and bias.shape != width):
            raise UsageError(
                f"the checkpoint has no normalisation '{name}' of {width[0]} values", source=f"{source}: layer_norm"
            )
        norm = LayerNorm(weight.float(), None if bias is None else bias.float(), told.epsilon, told.activated)
        found[number] = dataclasses.replace(linears[number], norm=norm)
        names |= {f"{name}.{leaf}" for leaf in ("weight", "bias") if f"{name}.{leaf}" in state}
    return tuple(found), names


def _normalizer(entries: Mapping[str, object], told: Statistics, source: str) -> Normalizer:
    """Return ``(obs - mean) / (std + epsilon)``, or with a variance ``(obs - mean) / sqrt(variance + epsilon)``."""
    state = _state(_as_tensors(entries), told.entry, source) if told.entry else {}
    if (told.std is None) == (told.variance is None):
        raise UsageError("a normaliser needs either std or variance", source=f"{source}: normalizer")
    place = f"{source}: normalizer"
    mean = _values(told.mean, state, place)
    if told.std is not None:
        return Normalizer("described", mean, _values(told.std, state, place), told.epsilon, told.clip)
    variance = _values(told.variance, state, place).double()
    return Normalizer("described", mean, torch.sqrt(variance + told.epsilon).float(), 0.0, told.clip)


def _as_tensors(value: Any) -> Any:
    """Return entries with numpy arrays and lists of numbers as tensors."""
    if isinstance(value, Mapping):
        return {key: _as_tensors(item) for key, item in value.items()}
    if isinstance(value, PlainArray):
        return tensor_of(value)
    if isinstance(value, int | float):
        return torch.tensor(float(value))
    if isinstance(value, list | tuple) and value and all(isinstance(item, int | float) for item in value):
        return torch.tensor(value, dtype=torch.float64)
    return value


def _values(told: str | tuple[float, ...] | None, state: StateDict, source: str) -> torch.Tensor:
    if isinstance(told, str) and told in state:
        return state[told].reshape(-1).float()
    if isinstance(told, tuple):
        return torch.tensor(told, dtype=torch.float32)
    raise UsageError(f"there is no '{told}' there", source=source, allowed=", ".join(state) or "lists of numbers")


def _check_inputs(told: NetworkDescription, width: int, source: str) -> None:
    sizes = [size for entry in told.inputs for size in entry.values()]
    if not all(isinstance(size, int) and size > 0 for size in sizes):
        raise UsageError("the size of an input is not a whole number above zero", source=f"{source}: inputs")
    if told.inputs and sum(sizes) != width:
        raise UsageError(
            f"the inputs that are described have {sum(sizes)} values, the first layer takes {width}",
            source=f"{source}: inputs",
        )
