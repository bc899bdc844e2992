"""Exported ONNX policies as a list of operations that the drive page computes; nothing of a file runs here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

import numpy as np
from numpy.typing import NDArray

from ..policies.confined.policy_file import PolicyFile, inspect
from ..spec.contract import CONTRACT_FILE, PolicyContract
from ..spec.errors import UsageError

if TYPE_CHECKING:
    import onnx

    from ..policies.adapter import Adapter, AffineMap

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
        UsageError: The file is none that is run, keeps a hidden state, or uses an operation that the page does not
            compute.
    """
    import onnx
    from onnx import numpy_helper

    exported_file(path)
    model = onnx.load(str(path))
    initial = {tensor.name for tensor in model.graph.initializer}
    inputs = [value.name for value in model.graph.input if value.name not in initial]
    outputs = [value.name for value in model.graph.output]
    if len(inputs) != 1 or len(outputs) != 1:
        raise _refusal("a policy with a hidden state", path)
    tensors = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    nodes = [_node(node, tensors, path) for node in model.graph.node]
    used = {name for node in nodes for name in node["inputs"]}
    kept = {name: np.asarray(value, np.float32).ravel() for name, value in tensors.items() if name in used}
    return Graph(inputs[0], outputs[0], nodes, kept)


def adapted(graph: Graph, adapter: Adapter, observations: int) -> Graph:
    """Return a policy's operations between the two maps that make up for another contract.

    Args:
        graph: The policy.
        adapter: The maps.
        observations: Length of the simulator's observation.
    """
    before, seen = _mapped("observe", adapter.observe, "observations", observations)
    after, tensors = _mapped("act", adapter.act, graph.output, len(adapter.act.index))
    entry: Node = {"op": "Identity", "inputs": [before[-1]["output"]], "output": graph.input, "attributes": {}}
    return Graph(
        "observations",
        after[-1]["output"],
        [*before, entry, *graph.nodes, *after],
        {**seen, **graph.tensors, **tensors},
    )


def _mapped(name: str, part: AffineMap, source: str, width: int) -> tuple[list[Node], dict[str, NDArray[np.float32]]]:
    """Return an affine map with its bounds as operations, and their constants; names begin with the map's."""
    weight = np.zeros((len(part.index), width), np.float32)
    weight[np.arange(len(part.index)), part.index] = part.gain
    most = float(np.finfo(np.float32).max)
    parts: dict[str, NDArray[Any]] = {"weight": weight.ravel(), "bias": part.bias, "low": part.low, "high": part.high}
    tensors = {f"{name}/{key}": np.clip(value, -most, most).astype(np.float32) for key, value in parts.items()}
    steps = (
        ("Affine", source, ("weight", "bias"), "mapped"),
        ("Max", f"{name}/mapped", ("low",), "above"),
        ("Min", f"{name}/above", ("high",), "bounded"),
    )
    nodes: list[Node] = [
        {"op": op, "inputs": [taken, *(f"{name}/{key}" for key in keys)], "output": f"{name}/{made}", "attributes": {}}
        for op, taken, keys, made in steps
    ]
    return nodes, tensors


def exported_file(path: Path) -> PolicyFile:
    """Look into an exported ONNX policy that stands alone, and return what it says of itself.

    Raises:
        UsageError: It is no ONNX file, asks for what is not given, or its document says what its inputs are.
    """
    file = inspect(path)
    if file.kind != "onnx":
        raise UsageError(
            f"the policy is a {file.kind} file",
            source=str(path),
            allowed="policy.onnx",
            hint=f"gaitway exam {path} plays it, and films it",
        )
    return file


def contract_of(path: Path) -> PolicyContract | None:
    """Return the contract of an exported ONNX policy: inside the file, or beside it; None where there is none.

    Raises:
        UsageError: The file is none that is run, or its contract is not valid.
    """
    text, beside = exported_file(path).contract, path.with_name(CONTRACT_FILE)
    if not text and beside.is_file():
        return PolicyContract.from_json(beside.read_bytes(), str(beside))
    return PolicyContract.from_json(text, f"the contract in {path}") if text else None


def task_of(path: Path) -> str:
    """Return the task that an exported policy's contract names: inside the file, or beside it.

    Raises:
        UsageError: There is no contract, or it names no task.
    """
    contract = contract_of(path)
    if contract is None or not contract.task:
        raise UsageError("the policy does not say which task it is for", source=str(path), hint="--task NAME")
    return contract.task


def _node(node: onnx.NodeProto, tensors: Mapping[str, NDArray[np.float32]], path: Path) -> Node:
    from onnx import helper

    given = {item.name: helper.get_attribute_value(item) for item in node.attribute}
    names = list(node.input)
    if node.op_type in ("Gemm", "Clip") and any(name and name not in tensors for name in names[1:]):
        raise _refusal(f"the operation {node.op_type} with numbers that are computed", path)
    if node.op_type == "Gemm" and given.get("transB") and (given.get("alpha", 1.0), given.get("beta", 1.0)) == (1, 1):
        return {"op": "Affine", "inputs": names, "output": node.output[0], "attributes": {}}
    if node.op_type == "Clip":
        # Until operator set 10 the bounds were attributes.
        low, high = (
            float(tensors[name]) if name else float(given.get(key, limit))
            for key, (name, limit) in zip(("min", "max"), _limits(names), strict=True)
        )
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
