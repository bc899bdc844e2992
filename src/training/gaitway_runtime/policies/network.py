"""The policy as a network: normaliser, recurrent layers where it has them, layers, output.

Every module here can be scripted and exported; what a family's reader found in a file is put together by
:func:`assemble`. All arithmetic is float32 and follows the training library's own order of operations.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from ..errors import UsageError, nearest
from .weights import Linear, Rnn, check_chain

if TYPE_CHECKING:
    from .contract import PolicyContract

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "elu": nn.ELU,
    "selu": nn.SELU,
    "relu": nn.ReLU,
    "crelu": nn.CELU,
    "lrelu": nn.LeakyReLU,
    "leaky_relu": nn.LeakyReLU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
    "softplus": nn.Softplus,
    "softsign": nn.Softsign,
    "gelu": nn.GELU,
    "swish": nn.SiLU,
    "mish": nn.Mish,
    "identity": nn.Identity,
}
"""Activations by the names that rsl_rl and skrl give them (rsl_rl calls CELU ``crelu`` and SiLU ``swish``)."""

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
    scale: float = 1.0
    """Factor after the squash."""

    @property
    def rows_per_action(self) -> int:
        """Outputs of the last layer for each action: two where the spread depends on the state."""
        return 2 if self.distribution in ("state_dependent_gaussian", "beta") else 1


@dataclass(frozen=True, kw_only=True, eq=False)
class Parts:
    """What a family's reader found in a checkpoint."""

    family: str
    linears: tuple[Linear, ...]
    activations: tuple[str, ...]
    """Name after each layer but the last."""
    activation_source: str
    normalizer: Normalizer | None
    output: Output
    rnn: Rnn | None = None
    output_limit: float | None = None
    iteration: int | None = None
    contract: PolicyContract | None = None


class Standardize(nn.Module):
    """``(obs - mean) / divisor``."""

    def __init__(self, mean: torch.Tensor, divisor: torch.Tensor) -> None:
        super().__init__()
        self.mean = nn.Buffer(mean)
        self.divisor = nn.Buffer(divisor)

    def forward(self, obs: torch.Tensor) -> torch.Tensor:
        """Return the standardised observations, (N, observations)."""
        return (obs - self.mean) / self.divisor


class Clamp(nn.Module):
    """Clamp to ``[low, high]``."""

    def __init__(self, low: float, high: float) -> None:
        super().__init__()
        self.low = low
        self.high = high

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return ``x`` within the bounds."""
        return torch.clamp(x, self.low, self.high)


class Scale(nn.Module):
    """Multiply by a constant."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return ``factor * x``."""
        return self.factor * x


class FirstHalf(nn.Module):
    """The mean of a Gaussian whose spread is the other half of the outputs."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.count = count

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the first ``count`` columns."""
        return x[:, : self.count]


class BetaMean(nn.Module):
    """Mean of a Beta distribution with parameters ``softplus(x) + 1``, rescaled to an action range."""

    def __init__(self, count: int, low: float, high: float) -> None:
        super().__init__()
        self.count = count
        self.low = low
        self.range = high - low

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the actions, (N, count), from alphas and betas, (N, 2 * count)."""
        alpha = nn.functional.softplus(x[:, : self.count]) + 1.0
        beta = nn.functional.softplus(x[:, self.count :]) + 1.0
        return (alpha / (alpha + beta)) * self.range + self.low


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
    parts: Parts

    @property
    def observation_size(self) -> int:
        """Length of the input vector."""
        return self.parts.rnn.input_size if self.parts.rnn else int(self.parts.linears[0].weight.shape[1])

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
            "parameters": sum(parameter.numel() for parameter in self.module.parameters()),
        }


def assemble(parts: Parts) -> Policy:
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


def activation_module(name: str, source: str) -> nn.Module:
    """Return the activation of that name.

    Raises:
        UsageError: It is not one that the supported libraries know.
    """
    factory = ACTIVATIONS.get(name.strip().lower())
    if factory is None:
        close = nearest(name, ACTIVATIONS, 1)
        raise UsageError(
            f"unknown activation '{name}'",
            source=source,
            allowed=", ".join(sorted(ACTIVATIONS)),
            hint=f"did you mean {close}?" if close else None,
        )
    return factory()


def _normalizer(parts: Parts) -> nn.Module:
    found = parts.normalizer
    if found is None:
        return nn.Identity()
    width = parts.rnn.input_size if parts.rnn else parts.linears[0].weight.shape[1]
    if found.mean.shape != (width,) or found.std.shape != (width,):
        raise UsageError(
            f"the checkpoint's normaliser is for {found.mean.numel()} observations, its network takes {width}"
        )
    standardize = Standardize(found.mean.float(), found.std.float() + found.eps)
    return nn.Sequential(standardize, Clamp(-found.clip, found.clip)) if found.clip is not None else standardize


def _trunk(parts: Parts) -> nn.Module:
    modules: list[nn.Module] = []
    for index, layer in enumerate(parts.linears):
        out_features, in_features = layer.weight.shape
        linear = nn.Linear(in_features, out_features, bias=layer.bias is not None)
        values = {"weight": layer.weight} | ({"bias": layer.bias} if layer.bias is not None else {})
        linear.load_state_dict(values)
        modules.append(linear)
        if index < len(parts.activations):
            modules.append(activation_module(parts.activations[index], parts.activation_source))
    return nn.Sequential(*modules)


def _output(parts: Parts) -> nn.Module:
    output, modules = parts.output, list[nn.Module]()
    actions = parts.linears[-1].weight.shape[0] // output.rows_per_action
    if output.distribution == "state_dependent_gaussian":
        modules.append(FirstHalf(actions))
    elif output.distribution == "beta":
        modules.append(BetaMean(actions, *output.bounds))
    if output.squash is not None:
        modules.append(activation_module(output.squash, parts.activation_source))
    if output.scale != 1.0:
        modules.append(Scale(output.scale))
    if parts.output_limit is not None:
        modules.append(Clamp(-parts.output_limit, parts.output_limit))
    return modules[0] if len(modules) == 1 else nn.Sequential(*modules)


def _filled(cls: Callable[..., Any], rnn: Rnn) -> Any:
    module = cls(rnn.input_size, rnn.hidden_size, rnn.layers, bias="bias_ih_l0" in rnn.state)
    expected = {name: parameter.shape for name, parameter in module.named_parameters()}
    if {name: tensor.shape for name, tensor in rnn.state.items()} != expected:
        raise UsageError("the layers of the checkpoint's recurrent part do not fit together")
    module.load_state_dict(rnn.state)
    return module
