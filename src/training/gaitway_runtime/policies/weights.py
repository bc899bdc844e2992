"""Reader of layers from a state dict: shapes come from the weights, and nothing is passed over in silence."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from ..spec.errors import UsageError
from .plain_numpy import PlainArray

DESCRIBE = "describe the network in a network.yaml beside the checkpoint (docs/checkpoints.md)"
"""Hint for a policy of plain layers that no family can read."""

ALL_PARTS = (
    "if they play no part when the policy acts, describe the rest in a network.yaml beside the checkpoint "
    "(docs/checkpoints.md); if they do, export all of it as one ONNX file where it was made, which gaitway exam reads"
)
"""Hint for a policy with networks beside its actor, such as an estimator or an encoder."""

OWN_FAMILY = "a package of your own can read it: CONTRIBUTING.md, 'Add a policy family'"
"""Hint for a policy that is made of more than plain layers."""

StateDict = Mapping[str, torch.Tensor]

_PLAIN_TYPES = (
    *(torch.float16, torch.bfloat16, torch.float32, torch.float64),
    *(torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64, torch.bool),
)


@dataclass(frozen=True, eq=False)
class LayerNorm:
    """A layer normalisation of what a linear layer gives."""

    weight: torch.Tensor
    """(out,)."""
    bias: torch.Tensor | None
    epsilon: float
    activated: bool
    """Whether it stands behind the activation."""


@dataclass(frozen=True, eq=False)
class Linear:
    """One linear layer as it stands in a file."""

    weight: torch.Tensor
    """(out, in)."""
    bias: torch.Tensor | None
    followed: bool
    """Whether a module without weights (an activation) stands between it and the next layer."""
    norm: LayerNorm | None = None


@dataclass(frozen=True, eq=False)
class Rnn:
    """A recurrent layer stack as it stands in a file."""

    kind: str
    """``lstm`` or ``gru``."""
    layers: int
    hidden_size: int
    input_size: int
    state: StateDict
    """By torch's own names, ``weight_ih_l0`` and so on."""


def state_dict(checkpoint: Mapping[str, Any], key: str) -> StateDict:
    """Return the state dict under ``key``, checked to hold plain, finite tensors alone.

    Raises:
        UsageError: It is missing, or holds something else than tensors, or a value that is not finite.
    """
    found = checkpoint.get(key)
    if not isinstance(found, Mapping) or not found:
        raise UsageError(f"the checkpoint has no weights under '{key}'")
    found = {name: tensor_of(value) for name, value in found.items()}
    for name, tensor in found.items():
        if not isinstance(name, str) or not isinstance(tensor, torch.Tensor):
            kind = "numpy array without numbers" if isinstance(tensor, PlainArray) else type(tensor).__name__
            raise UsageError(f"the checkpoint's '{key}.{name}' is a {kind}, not a named tensor")
        _check_plain(tensor, f"{key}.{name}")
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            raise UsageError(f"the checkpoint's '{key}.{name}' has values that are not finite: the training diverged")
    return found


def tensor_of(value: object) -> object:
    """Return a numpy array of numbers as a tensor; anything else as it is."""
    if isinstance(value, PlainArray) and value.values is not None and value.values.dtype.kind in "biuf":
        return torch.from_numpy(value.values.astype(value.values.dtype.newbyteorder("=")))
    return value


def _check_plain(tensor: torch.Tensor, name: str) -> None:
    """Refuse a tensor whose numbers are not simply there: quantised, sparse, of no device, larger than its data."""
    kind = "quantised" if tensor.is_quantized else str(tensor.layout).removeprefix("torch.")
    if tensor.is_meta:
        kind = "empty"
    if kind != "strided" or tensor.dtype not in _PLAIN_TYPES:
        dtype = str(tensor.dtype).removeprefix("torch.")
        raise UsageError(
            f"the checkpoint's '{name}' is {'' if kind == 'strided' else kind + ' '}{dtype}, not a plain tensor",
            allowed=", ".join(str(dtype).removeprefix("torch.") for dtype in _PLAIN_TYPES),
            hint="save it as float32 where it was made",
        )
    if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
        raise UsageError(
            f"the checkpoint's '{name}' claims {tensor.numel():,} numbers, and the file holds fewer",
            hint="save it as a copy of its own where it was made (tensor.clone())",
        )


def has_entry(found: Any, prefixes: str | tuple[str, ...] = "") -> bool:
    """Whether something in a checkpoint is a mapping with an entry, of such a name if one is given."""
    return isinstance(found, Mapping) and any(str(name).startswith(prefixes) for name in found)


def take(state: StateDict, prefix: str) -> dict[str, torch.Tensor]:
    """Return the entries below a prefix, without it."""
    return {name.removeprefix(prefix): tensor for name, tensor in state.items() if name.startswith(prefix)}


def linear_chain(layers: StateDict, what: str) -> tuple[Linear, ...]:
    """Read the linear layers of a ``torch.nn.Sequential`` in order.

    Args:
        layers: Entries by ``<index>.weight`` and ``<index>.bias``.
        what: The part's name, for errors.

    Raises:
        UsageError: A layer is of another kind, or sizes do not follow from one layer to the next.
    """
    weights: dict[tuple[int, str], torch.Tensor] = {}
    for name, tensor in layers.items():
        index, _, leaf = name.partition(".")
        if not index.isdecimal() or leaf not in ("weight", "bias"):
            raise UsageError(f"the checkpoint's {what} has a part that is not a plain layer: '{name}'", hint=DESCRIBE)
        if leaf == "weight" and tensor.dim() != 2:
            if tensor.dim() > 2:
                raise UsageError(
                    f"the checkpoint's {what} has a convolution ('{name}'), which is not supported", hint=OWN_FAMILY
                )
            raise UsageError(
                f"the checkpoint's {what} has a normalisation layer ('{name}'), whose kind and epsilon are in no file",
                hint=f"{DESCRIBE}: layer_norm, if it is one",
            )
        if not tensor.is_floating_point():
            raise UsageError(
                f"the checkpoint's {what} has weights of whole numbers ('{name}'), whose scale is in no file",
                hint="save them as float32 where they were made",
            )
        weights[(int(index), leaf)] = tensor
    order = sorted(index for index, leaf in weights if leaf == "weight")
    if not order:
        raise UsageError(f"the checkpoint's {what} has no layers")
    gaps = [after - before for before, after in itertools.pairwise(order)]
    if order[0] != 0:
        raise UsageError(f"the checkpoint's {what} has a module without weights before its first layer", hint=DESCRIBE)
    if any(gap > 2 for gap in gaps):
        raise UsageError(f"the checkpoint's {what} has more than one module between two layers", hint=DESCRIBE)
    chain = tuple(
        Linear(weights[index, "weight"].float(), _bias(weights.get((index, "bias"))), gap == 2)
        for index, gap in zip(order, [*gaps, 1], strict=True)
    )
    check_chain(chain, what)
    return chain


def mlp_chain(layers: StateDict, what: str) -> tuple[Linear, ...]:
    """Read linear layers with one module, an activation, between each two (see :func:`linear_chain`).

    Raises:
        UsageError: Two layers stand side by side.
    """
    chain = linear_chain(layers, what)
    if not all(layer.followed for layer in chain[:-1]):
        raise UsageError(
            f"the checkpoint's {what} has two layers with nothing between them, where an activation belongs",
            hint=DESCRIBE,
        )
    return chain


def check_chain(chain: Iterable[Linear], what: str) -> None:
    """Check that each layer takes what the one before it gives.

    Raises:
        UsageError: One does not.
    """
    width: int | None = None
    for layer in chain:
        rows, columns = layer.weight.shape
        if (width is not None and columns != width) or (layer.bias is not None and layer.bias.shape != (rows,)):
            raise UsageError(f"the layers of the checkpoint's {what} do not fit together")
        width = rows


def recurrent_stack(entries: StateDict, what: str) -> Rnn:
    """Read an LSTM or GRU; rows of ``weight_ih`` are 4 or 3 times the hidden size.

    Raises:
        UsageError: It is neither, or has projections or two directions.
    """
    known = re.compile(r"(weight|bias)_(ih|hh)_l\d+")
    odd = [name for name in entries if not known.fullmatch(name)]
    if odd or "weight_ih_l0" not in entries or "weight_hh_l0" not in entries:
        raise UsageError(
            f"the checkpoint's {what} is not a plain LSTM or GRU ('{(odd or ['no weights'])[0]}')", hint=OWN_FAMILY
        )
    shapes = entries["weight_ih_l0"].shape, entries["weight_hh_l0"].shape
    if any(len(shape) != 2 or 0 in shape for shape in shapes):
        raise UsageError(f"the checkpoint's {what} has recurrent weights of no use: {shapes[0]} and {shapes[1]}")
    (rows, input_size), (_, hidden_size) = shapes
    kind = {4: "lstm", 3: "gru"}.get(rows // hidden_size if rows % hidden_size == 0 else 0)
    if kind is None:
        raise UsageError(
            f"the checkpoint's {what} is neither an LSTM nor a GRU ({rows} rows for {hidden_size} units)",
            hint=OWN_FAMILY,
        )
    layers = 1 + max(int(name.rsplit("l", 1)[1]) for name in entries)
    return Rnn(kind, layers, hidden_size, input_size, {name: tensor.float() for name, tensor in entries.items()})


def refuse_unread(state: StateDict, read: tuple[str, ...], what: str) -> None:
    """Refuse a state dict with entries that no rule has read.

    Args:
        state: The state dict.
        read: Prefixes and names that were read, or that inference does not need.
        what: The part's name, for the error.

    Raises:
        UsageError: Something is left; convolutional encoders are named as such.
    """
    left = sorted(name for name in state if not name.startswith(read))
    encoder = next((name for name in left if "cnn" in name), None)
    if encoder:
        raise UsageError(
            f"the checkpoint's {what} has an image encoder ('{encoder}'); convolutional policies are not supported",
            hint=OWN_FAMILY,
        )
    if left:
        recurrent = any(re.search(r"(^|[._])(rnn|lstm|gru|memory)", name) for name in left)
        raise UsageError(
            f"the checkpoint's {what} has parts that are not known here: {', '.join(left[:4])}",
            hint=OWN_FAMILY if recurrent else ALL_PARTS,
        )


def _bias(bias: torch.Tensor | None) -> torch.Tensor | None:
    return None if bias is None else bias.float()
