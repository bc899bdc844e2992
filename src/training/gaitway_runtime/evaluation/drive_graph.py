"""Exported ONNX policies as a list of operations that the drive page computes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

import numpy as np
from numpy.typing import NDArray

from ..spec.contract import CONTRACT_FILE, PolicyContract
from ..spec.errors import UsageError

if TYPE_CHECKING:
    import onnx

UNARY: Mapping[str, Mapping[str, float]] = {
    "Elu": {"alpha": 1.0},
    "Relu": {},
    "Tanh": {},
    "Sigmoid": {},
    "Softplus": {},
    "Softsign": {},
    "LeakyRelu": {"alpha": 0.01},
    "Selu": {"alpha": 1.67326319217681884765625, "gamma": 1.05070102214813232421875},
    "Identity": {},
}
"""Operations on one vector, with ONNX's defaults of their attributes."""
BINARY = ("Add", "Sub", "Mul", "Div", "Max", "Min")


class Node(TypedDict):
    """One operation; its inputs and its output are vectors by name."""

    op: str
    inputs: list[str]
    output: str
    attributes: dict[str, float]


@dataclass(frozen=True)
class Graph:
    """A feed-forward policy: operations in order, and its constants."""

    input: str
    output: str
    nodes: list[Node]
    tensors: dict[str, NDArray[np.float32]]


def read_graph(path: Path) -> Graph:
    """Return the operations of an exported policy.

    Raises:
        UsageError: It keeps a hidden state, or uses an operation that the page does not compute.
    """
    import onnx
    from onnx import numpy_helper

    model = onnx.load(str(path))
    inputs, outputs = [value.name for value in model.graph.input], [value.name for value in model.graph.output]
    if len(inputs) != 1 or len(outputs) != 1:
        raise _refusal("a policy with a hidden state", path)
    tensors = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    nodes = [_node(node, tensors, path) for node in model.graph.node]
    used = {name for node in nodes for name in node["inputs"]}
    kept = {name: np.asarray(value, np.float32).ravel() for name, value in tensors.items() if name in used}
    return Graph(inputs[0], outputs[0], nodes, kept)


def task_of(path: Path) -> str:
    """Return the task that an exported policy's contract names: inside the file, or beside it.

    Raises:
        UsageError: There is no contract, or it names no task.
    """
    import onnx

    metadata = {item.key: item.value for item in onnx.load(str(path), load_external_data=False).metadata_props}
    text, beside = metadata.get("policy_contract"), path.with_name(CONTRACT_FILE)
    if text is None and beside.is_file():
        text = beside.read_text(encoding="utf-8")
    task = PolicyContract.from_json(text, str(path)).task if text else None
    if not task:
        raise UsageError("the policy does not say which task it is for", source=str(path), hint="--task NAME")
    return task


def _node(node: onnx.NodeProto, tensors: Mapping[str, NDArray[np.float32]], path: Path) -> Node:
    from onnx import helper

    given = {item.name: helper.get_attribute_value(item) for item in node.attribute}
    names = list(node.input)
    if node.op_type == "Gemm" and given.get("transB") and (given.get("alpha", 1.0), given.get("beta", 1.0)) == (1, 1):
        return {"op": "Affine", "inputs": names, "output": node.output[0], "attributes": {}}
    if node.op_type == "Clip":
        low, high = (float(tensors[name]) if name else limit for name, limit in _limits(names))
        return {"op": "Clip", "inputs": names[:1], "output": node.output[0], "attributes": {"low": low, "high": high}}
    if node.op_type in UNARY:
        attributes = {name: float(given.get(name, default)) for name, default in UNARY[node.op_type].items()}
        return {"op": node.op_type, "inputs": names, "output": node.output[0], "attributes": attributes}
    if node.op_type in BINARY and len(names) == 2:
        return {"op": node.op_type, "inputs": names, "output": node.output[0], "attributes": {}}
    raise _refusal(f"the operation {node.op_type}", path)


def _limits(names: list[str]) -> list[tuple[str, float]]:
    """Return the names of a clip's bounds, and what stands for a bound that there is not."""
    most = float(np.finfo(np.float32).max)
    given = [*names[1:], "", ""][:2]
    return [(given[0], -most), (given[1], most)]


def _refusal(what: str, path: Path) -> UsageError:
    return UsageError(
        f"the drive page cannot compute {what}", source=str(path), hint="the film of infer shows it: gaitway infer"
    )
