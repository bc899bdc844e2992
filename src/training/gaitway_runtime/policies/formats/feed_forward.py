"""ONNX graphs of feed-forward policies, written node by node.

torch's own exporter traces and translates any module, for which it imports a compiler: seconds for a network of a dozen
operations. What :data:`WRITERS` knows needs neither; everything else goes the exporter's way.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from ..layers import Affine, Bounds, Clamp, FirstHalf, InputSelection, Standardize
from ..network import FeedForward

if TYPE_CHECKING:
    import onnx

IR_VERSION = 10
"""Version of the file's format: the one that torch's exporter writes, which ONNX Runtime 1.18 and later reads."""


class NotKnown(Exception):
    """A module that has no writer."""


@dataclass
class _Graph:
    """Nodes and constants of a graph that is being written."""

    nodes: list[onnx.NodeProto] = field(default_factory=list)
    constants: list[onnx.TensorProto] = field(default_factory=list)

    def add(self, op: str, *inputs: str, **attributes: float | int) -> str:
        """Add an operation and return the name of its output."""
        from onnx import helper

        output = f"{op.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, list(inputs), [output], **attributes))
        return output

    def constant(self, name: str, value: torch.Tensor) -> str:
        """Add a constant and return its name."""
        from onnx import numpy_helper

        self.constants.append(numpy_helper.from_array(value.detach().cpu().contiguous().numpy(), name))
        return name


Writer = Callable[[_Graph, Any, str, str], str]
"""Writes a module, given where it stands in the policy and the name of its input; returns the name of its output."""


def _sequential(graph: _Graph, module: nn.Sequential, place: str, value: str) -> str:
    for name, part in module.named_children():
        value = _write(graph, part, f"{place}.{name}", value)
    return value


def _linear(graph: _Graph, module: nn.Linear, place: str, value: str) -> str:
    names = [graph.constant(f"{place}.weight", module.weight)]
    if module.bias is not None:
        names.append(graph.constant(f"{place}.bias", module.bias))
    return graph.add("Gemm", value, *names, transB=1)


def _standardize(graph: _Graph, module: Standardize, place: str, value: str) -> str:
    centred = graph.add("Sub", value, graph.constant(f"{place}.mean", module.mean))
    return graph.add("Div", centred, graph.constant(f"{place}.divisor", module.divisor))


def _clamp(graph: _Graph, module: Clamp, place: str, value: str) -> str:
    bounds = {
        name: torch.tensor(limit, dtype=torch.float32) for name, limit in (("low", module.low), ("high", module.high))
    }
    return graph.add("Clip", value, *(graph.constant(f"{place}.{name}", bound) for name, bound in bounds.items()))


def _affine(graph: _Graph, module: Affine, place: str, value: str) -> str:
    scaled = graph.add("Mul", value, graph.constant(f"{place}.scale", module.scale))
    return graph.add("Add", scaled, graph.constant(f"{place}.offset", module.offset))


def _bounds(graph: _Graph, module: Bounds, place: str, value: str) -> str:
    raised = graph.add("Max", value, graph.constant(f"{place}.low", module.low))
    return graph.add("Min", raised, graph.constant(f"{place}.high", module.high))


def _selection(graph: _Graph, module: InputSelection, place: str, value: str) -> str:
    return graph.add("MatMul", value, graph.constant(f"{place}.matrix", module.matrix))


def _first_half(graph: _Graph, module: FirstHalf, place: str, value: str) -> str:
    numbers = {"starts": 0, "ends": module.count, "axes": 1}
    return graph.add(
        "Slice", value, *(graph.constant(f"{place}.{name}", torch.tensor([number])) for name, number in numbers.items())
    )


def _silu(graph: _Graph, module: nn.SiLU, place: str, value: str) -> str:
    return graph.add("Mul", value, graph.add("Sigmoid", value))


def _softplus(graph: _Graph, module: nn.Softplus, place: str, value: str) -> str:
    if (module.beta, module.threshold) != (1.0, 20.0):
        raise NotKnown
    return graph.add("Softplus", value)


def _plain(op: str, **attributes: str) -> Writer:
    """Return the writer of an operation that is one of ONNX's.

    Args:
        op: ONNX's name of it.
        attributes: The module's name of each attribute, by ONNX's.
    """

    def write(graph: _Graph, module: nn.Module, place: str, value: str) -> str:
        return graph.add(op, value, **{name: float(getattr(module, own)) for name, own in attributes.items()})

    return write


WRITERS: dict[type[nn.Module], Writer] = {
    nn.Sequential: _sequential,
    nn.Linear: _linear,
    Standardize: _standardize,
    Clamp: _clamp,
    Affine: _affine,
    Bounds: _bounds,
    InputSelection: _selection,
    FirstHalf: _first_half,
    nn.Identity: lambda graph, module, place, value: value,
    nn.ELU: _plain("Elu", alpha="alpha"),
    nn.CELU: _plain("Celu", alpha="alpha"),
    nn.SELU: _plain("Selu"),
    nn.ReLU: _plain("Relu"),
    nn.LeakyReLU: _plain("LeakyRelu", alpha="negative_slope"),
    nn.Tanh: _plain("Tanh"),
    nn.Sigmoid: _plain("Sigmoid"),
    nn.Softplus: _softplus,
    nn.Softsign: _plain("Softsign"),
    nn.SiLU: _silu,
    nn.Mish: _plain("Mish"),
}
"""Modules that a policy is put together from, by exact type: a subclass may compute something else."""


def write_feed_forward(
    module: FeedForward, sizes: tuple[int, int], batch: str | int, names: tuple[str, str], opset: int
) -> onnx.ModelProto | None:
    """Return a feed-forward policy as an ONNX model; None where a part of it has no writer.

    Args:
        module: The policy's network.
        sizes: Observations and actions.
        batch: Size of the batch axis, or its name where it may vary.
        names: Names of the input and the output.
        opset: Version of ONNX's operators.
    """
    from onnx import TensorProto, helper

    graph, value = _Graph(), names[0]
    try:
        for place in ("normalizer", "trunk", "output"):
            value = _write(graph, getattr(module, place), place, value)
    except NotKnown:
        return None
    graph.nodes[-1].output[0] = names[1]
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, (batch, size))
        for name, size in zip(names, sizes, strict=True)
    ]
    made = helper.make_graph(graph.nodes, "policy", ends[:1], ends[1:], graph.constants)
    operators = [helper.make_opsetid("", opset)]
    return helper.make_model(made, producer_name="gaitway", ir_version=IR_VERSION, opset_imports=operators)


def _write(graph: _Graph, module: nn.Module, place: str, value: str) -> str:
    writer = WRITERS.get(type(module))
    if writer is None:
        raise NotKnown
    return writer(graph, module, place, value)
