"""Policy network: normaliser, recurrent layers where it has them, layers, output.

Every module here can be scripted and exported; what a family's reader found in a file is put together by
:func:`assemble`. All arithmetic is float32 and follows the training library's own order of operations.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from ..spec.errors import UsageError
from .activations import activation_module
from .layers import Affine, BetaMean, Bounds, Clamp, FirstHalf, InputSelection, Standardize
from .weights import LayerNorm, Linear, Rnn, check_chain

if TYPE_CHECKING:
    from ..spec.contract import PolicyContract

STATE_NAMES: dict[str, tuple[str, ...]] = {"lstm": ("h", "c"), "gru": ("h",)}
"""Parts of the hidden state by the kind of recurrent layer."""


@dataclass(frozen=True, eq=False)
class Normalizer:
    """Statistics of the observations, as the training library applies them.

    The policy sees ``clamp((obs - mean) / (std + eps), -clip, clip)``.
    """

    kind: str
    mean: torch.Tensor
    """(observations,)."""
    std: torch.Tensor
    eps: float
    clip: float | None = None


@dataclass(frozen=True)
class Output:
    """How the network's last layer becomes the action."""

    distribution: str
    """``gaussian``, ``state_dependent_gaussian``, ``beta`` or ``deterministic``; always its mean is the action."""
    bounds: tuple[float, float] = (-1.0, 1.0)
    """Range of a Beta distribution's actions."""
    squash: str | None = None
    """Activation on the mean, where the policy has one."""
    scale: tuple[float, ...] = (1.0,)
    """Factor after the squash, one for all actions or one each."""
    offset: tuple[float, ...] = (0.0,)
    """Added after the factor, likewise."""
    low: tuple[float, ...] = (-math.inf,)
    """Bounds of the actions after that, likewise."""
    high: tuple[float, ...] = (math.inf,)

    @property
    def rows_per_action(self) -> int:
        """Outputs of the last layer for each action: two where the spread depends on the state."""
        return 2 if self.distribution in ("state_dependent_gaussian", "beta") else 1


@dataclass(frozen=True, kw_only=True, eq=False)
class PolicyParts:
    """Parts of a policy as a family found them in a checkpoint."""

    family: str
    linears: tuple[Linear, ...]
    activations: tuple[str, ...]
    """Name after each layer but the last."""
    activation_source: str
    normalizer: Normalizer | None
    output: Output
    rnn: Rnn | None = None
    output_limit: float | None = None
    """Bound to which the actions are clamped on either side."""
    iteration: int | None = None
    contract: PolicyContract | None = None
    selection: torch.Tensor | None = None
    """(first layer's inputs, observations): which of the normalised observations the network takes; None for all."""
    input_limit: float | None = None
    """Bound to which the observations are clamped before anything else."""
    entries_read: frozenset[str] = frozenset()
    """Top-level entries of the file that the family read, or knows to play no part when the policy acts."""
    assumptions: tuple[str, ...] = ()
    """What nothing told and was taken for granted, a sentence each."""


class PolicyModule(nn.Module):
    """What every policy has: a normaliser, layers, an output. Its subclasses say how the parts are run."""

    def __init__(self, normalizer: nn.Module, trunk: nn.Module, output: nn.Module) -> None:
        super().__init__()
        self.normalizer = normalizer
        self.trunk = trunk
        self.output = output


class FeedForward(PolicyModule):
    """``obs (N, observations) -> actions (N, actions)``."""

    def forward(self, obs: torch.Tensor) -> torch.Tensor:
        """Return the actions for a batch of observations."""
        return self.output(self.trunk(self.normalizer(obs)))  # type: ignore[no-any-return]


class WithLSTM(PolicyModule):
    """``obs, h_in, c_in -> actions, h_out, c_out``; the states are (layers, N, hidden)."""

    def __init__(self, normalizer: nn.Module, rnn: nn.LSTM, trunk: nn.Module, output: nn.Module) -> None:
        super().__init__(normalizer, trunk, output)
        self.rnn = rnn

    def forward(
        self, obs: torch.Tensor, h_in: torch.Tensor, c_in: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return the actions and the states for the next step."""
        latent, (h_out, c_out) = self.rnn(self.normalizer(obs).unsqueeze(0), (h_in, c_in))
        return self.output(self.trunk(latent.squeeze(0))), h_out, c_out


class WithGRU(PolicyModule):
    """``obs, h_in -> actions, h_out``; the state is (layers, N, hidden)."""

    def __init__(self, normalizer: nn.Module, rnn: nn.GRU, trunk: nn.Module, output: nn.Module) -> None:
        super().__init__(normalizer, trunk, output)
        self.rnn = rnn

    def forward(self, obs: torch.Tensor, h_in: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the actions and the state for the next step."""
        latent, h_out = self.rnn(self.normalizer(obs).unsqueeze(0), h_in)
        return self.output(self.trunk(latent.squeeze(0))), h_out


@dataclass(frozen=True, eq=False)
class Policy:
    """A policy from a checkpoint: the network in evaluation mode, and what is known of it."""

    module: PolicyModule
    parts: PolicyParts

    @property
    def observation_size(self) -> int:
        """Length of the input vector."""
        return _observation_size(self.parts)

    @property
    def action_size(self) -> int:
        """Length of the output vector."""
        return int(self.parts.linears[-1].weight.shape[0]) // self.parts.output.rows_per_action

    @property
    def recurrent(self) -> bool:
        """Whether the policy carries a hidden state from step to step."""
        return self.parts.rnn is not None

    @property
    def normalizer(self) -> Normalizer | None:
        """Statistics of the observations, or None where the policy was trained on them as they are."""
        return self.parts.normalizer

    @property
    def contract(self) -> PolicyContract | None:
        """The contract that gaitway put into the checkpoint, where it did."""
        return self.parts.contract

    @property
    def state_names(self) -> tuple[str, ...]:
        """Names of the hidden state's parts; empty for a policy without one."""
        return STATE_NAMES[self.parts.rnn.kind] if self.parts.rnn else ()

    def initial_state(self, batch: int) -> tuple[torch.Tensor, ...]:
        """Return the hidden state at the start of an episode, one (layers, batch, hidden) a state; empty if none."""
        if self.parts.rnn is None:
            return ()
        shape = (self.parts.rnn.layers, batch, self.parts.rnn.hidden_size)
        return tuple(torch.zeros(shape) for _ in self.state_names)

    def __call__(self, obs: torch.Tensor) -> torch.Tensor:
        """Return the actions, (N, actions), for observations, (N, observations), at the start of an episode."""
        with torch.inference_mode():
            result = self.module(obs, *self.initial_state(obs.shape[0]))
        return result[0] if self.recurrent else result  # type: ignore[no-any-return]

    @property
    def network(self) -> Mapping[str, Any]:
        """Return the contract's ``network`` section."""
        parts, rnn, normalizer = self.parts, self.parts.rnn, self.parts.normalizer
        sizes = [int(layer.weight.shape[0]) for layer in parts.linears]
        return {
            "kind": rnn.kind if rnn else "mlp",
            "family": parts.family,
            "layer_sizes": [int(parts.linears[0].weight.shape[1]), *sizes],
            "activations": list(parts.activations),
            # A file by its last two parts: where it lay on this machine is nobody's business.
            "activation_source": "/".join(Path(parts.activation_source).parts[-2:]),
            "recurrent": {"type": rnn.kind, "layers": rnn.layers, "hidden_size": rnn.hidden_size} if rnn else None,
            "normalizer": {
                "kind": normalizer.kind,
                "mean": normalizer.mean.tolist(),
                "std": normalizer.std.tolist(),
                "eps": normalizer.eps,
                "clip": normalizer.clip,
            }
            if normalizer
            else None,
            "distribution": parts.output.distribution,
            "output": "mean",
            "output_clamp": parts.output_limit,
            "input_clamp": parts.input_limit,
            "weights_sha256": _digest(self.module),
            "parameters": sum(parameter.numel() for parameter in self.module.parameters()),
        }


def assemble(parts: PolicyParts) -> Policy:
    """Build the network from what a reader found.

    Raises:
        UsageError: The parts do not fit together, or an activation is not known.
    """
    rows = parts.linears[-1].weight.shape[0]
    if rows % parts.output.rows_per_action:
        raise UsageError(
            f"the checkpoint's last layer has {rows} rows; a {parts.output.distribution} needs an even count"
        )
    if parts.rnn is not None and parts.rnn.hidden_size != parts.linears[0].weight.shape[1]:
        raise UsageError("the checkpoint's recurrent part and its layers do not fit together")
    check_chain(parts.linears, "policy")
    normalizer, trunk, output = _normalizer(parts), _trunk(parts), _output(parts)
    module: PolicyModule
    if parts.rnn is None:
        module = FeedForward(normalizer, trunk, output)
    elif parts.rnn.kind == "lstm":
        module = WithLSTM(normalizer, _filled(nn.LSTM, parts.rnn), trunk, output)
    else:
        module = WithGRU(normalizer, _filled(nn.GRU, parts.rnn), trunk, output)
    return Policy(module.eval().requires_grad_(False), parts)


def _digest(module: nn.Module) -> str:
    """Return the SHA-256 over name and bytes of every weight and statistic, by name."""
    digest = hashlib.sha256()
    for name, tensor in sorted(module.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def _observation_size(parts: PolicyParts) -> int:
    if parts.selection is not None:
        return int(parts.selection.shape[1])
    return parts.rnn.input_size if parts.rnn else int(parts.linears[0].weight.shape[1])


def _normalizer(parts: PolicyParts) -> nn.Module:
    """Return everything between the observations and the network: clamp, normaliser, selection."""
    modules = list[nn.Module]()
    if parts.input_limit is not None:
        modules.append(Clamp(-parts.input_limit, parts.input_limit))
    if parts.normalizer is not None:
        modules += _standardize(parts.normalizer, _observation_size(parts))
    if parts.selection is not None:
        modules.append(InputSelection(parts.selection))
    return modules[0] if len(modules) == 1 else nn.Sequential(*modules)


def _standardize(found: Normalizer, width: int) -> list[nn.Module]:
    if found.mean.shape != (width,) or found.std.shape != (width,):
        raise UsageError(
            f"the checkpoint's normaliser is for {found.mean.numel()} observations, its network takes {width}"
        )
    standardize = Standardize(found.mean.float(), found.std.float() + found.eps)
    return [standardize] if found.clip is None else [standardize, Clamp(-found.clip, found.clip)]


def _trunk(parts: PolicyParts) -> nn.Module:
    modules: list[nn.Module] = []
    for index, layer in enumerate(parts.linears):
        out_features, in_features = layer.weight.shape
        linear = nn.Linear(in_features, out_features, bias=layer.bias is not None)
        values = {"weight": layer.weight} | ({"bias": layer.bias} if layer.bias is not None else {})
        linear.load_state_dict(values)
        after = [] if layer.norm is None else [_layer_norm(layer.norm)]
        if index < len(parts.activations):
            activation = activation_module(parts.activations[index], parts.activation_source)
            after.insert(0 if layer.norm is not None and layer.norm.activated else len(after), activation)
        modules += [linear, *after]
    return nn.Sequential(*modules)


def _layer_norm(found: LayerNorm) -> nn.Module:
    module = nn.LayerNorm(len(found.weight), eps=found.epsilon, bias=found.bias is not None)
    module.load_state_dict({"weight": found.weight} | ({"bias": found.bias} if found.bias is not None else {}))
    return module


def _output(parts: PolicyParts) -> nn.Module:
    output, modules = parts.output, list[nn.Module]()
    actions = parts.linears[-1].weight.shape[0] // output.rows_per_action
    if output.distribution == "state_dependent_gaussian":
        modules.append(FirstHalf(actions))
    elif output.distribution == "beta":
        modules.append(BetaMean(actions, *output.bounds))
    if output.squash is not None:
        modules.append(activation_module(output.squash, parts.activation_source))
    if set(output.scale) != {1.0} or any(output.offset):
        modules.append(Affine(_row(output.scale, actions), _row(output.offset, actions)))
    if any(map(math.isfinite, (*output.low, *output.high))):
        modules.append(Bounds(_row(output.low, actions), _row(output.high, actions)))
    if parts.output_limit is not None:
        modules.append(Clamp(-parts.output_limit, parts.output_limit))
    return modules[0] if len(modules) == 1 else nn.Sequential(*modules)


def _row(values: tuple[float, ...], count: int) -> torch.Tensor:
    if len(values) not in (1, count):
        raise UsageError(f"the policy's output has {len(values)} factors or bounds for {count} actions")
    return torch.tensor(values * count if len(values) == 1 else values, dtype=torch.float32)


def _filled(cls: Callable[..., Any], rnn: Rnn) -> Any:
    module = cls(rnn.input_size, rnn.hidden_size, rnn.layers, bias="bias_ih_l0" in rnn.state)
    expected = {name: parameter.shape for name, parameter in module.named_parameters()}
    if {name: tensor.shape for name, tensor in rnn.state.items()} != expected:
        raise UsageError("the layers of the checkpoint's recurrent part do not fit together")
    module.load_state_dict(rnn.state)
    return module
