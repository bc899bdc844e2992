"""Activations by the names that learning libraries give them."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from torch import nn

from ..spec.errors import UsageError, nearest

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "elu": nn.ELU,
    "selu": nn.SELU,
    "relu": nn.ReLU,
    "celu": nn.CELU,
    "crelu": nn.CELU,
    "lrelu": nn.LeakyReLU,
    "leaky_relu": nn.LeakyReLU,
    "leakyrelu": nn.LeakyReLU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
    "softplus": nn.Softplus,
    "softsign": nn.Softsign,
    "gelu": nn.GELU,
    "swish": nn.SiLU,
    "silu": nn.SiLU,
    "mish": nn.Mish,
    "identity": nn.Identity,
    "none": nn.Identity,
}
"""Activations by the names of rsl_rl (2.0 and later call CELU ``crelu`` and SiLU ``swish``), skrl, rl_games, torch."""


def activation_module(name: str, source: str) -> nn.Module:
    """Return the activation of that name.

    Raises:
        UsageError: It is not one that the supported libraries know.
    """
    check_known((name,), source)
    return ACTIVATIONS[_key(name)]()


def check_known(names: Iterable[str], source: str) -> None:
    """Check that every name is one of an activation.

    Raises:
        UsageError: One is not; the error names the nearest.
    """
    for name in names:
        if _key(name) not in ACTIVATIONS:
            close = nearest(name, ACTIVATIONS, 1)
            raise UsageError(
                f"unknown activation '{name}'",
                source=source,
                allowed=", ".join(sorted(ACTIVATIONS)),
                hint=f"did you mean {close}?" if close else None,
            )


def same_activation(name: str, other: str) -> bool:
    """Whether two known names stand for the same function.

    ``crelu`` is ReLU in rsl_rl 1.x and CELU later: it agrees with either.
    """
    if "crelu" in (_key(name), _key(other)):
        return {ACTIVATIONS[_key(name)], ACTIVATIONS[_key(other)]} <= {nn.CELU, nn.ReLU}
    return ACTIVATIONS[_key(name)] is ACTIVATIONS[_key(other)]


def _key(name: str) -> str:
    return name.strip().lower()
