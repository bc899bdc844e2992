"""Policy files of any origin, looked into before anything of them runs, and opened confined."""

from __future__ import annotations

import contextlib
import math
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from ...spec.checkpoint_files import members_of, sha256_of
from ...spec.contract import CONTRACT_FILE, CONTRACT_KEY, PolicyContract
from ...spec.errors import UsageError
from ...spec.registry import ForeignError, call_foreign
from ..bundles import bundle_beside, is_bundle, read_bundle
from ..torchscript_code import check_code, code_files
from .onnx_loader import OBSERVATIONS
from .process import ConfinedPolicy

if TYPE_CHECKING:
    import onnx

MOST_BYTES = 1 << 30
"""Largest policy file, weights outside it included."""
MOST_INPUTS = 20_000
MOST_VALUES = 1 << 28
"""Values that one tensor of a policy may have."""
DOMAINS = ("", "ai.onnx", "com.microsoft")
"""Operator sets that ONNX Runtime has."""


class AskedPolicy(Protocol):
    """A policy that can be asked.

    Attributes:
        inputs: Length of its input vector.
        outputs: Of its output vector.
        recurrent: Whether it carries a hidden state.
        confined: What the confinement is made of.
        contract: Our contract in a checkpoint; that of another file is in its :class:`PolicyFile`.
        gains: Stiffness and damping of each output's joint, where the file has them; else empty.
        assumptions: What had to be assumed of a checkpoint's network; nothing of a file that computes by itself.
    """

    inputs: int
    outputs: int
    recurrent: bool
    confined: str
    contract: PolicyContract | None
    gains: tuple[tuple[float, ...], ...]
    assumptions: tuple[str, ...]

    def act(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the outputs, (N, A), for input vectors, (N, W)."""
        ...

    def reset(self, mask: NDArray[np.bool_] | None = None) -> None:
        """Forget the hidden state of the masked rows, or of all."""
        ...


@dataclass(frozen=True, kw_only=True)
class PolicyFile:
    """What a file says of itself, before anything of it has run."""

    path: Path
    kind: str
    """``onnx``, ``torchscript``, ``checkpoint``, or ``leapp`` or ``whole-loop`` for the document of a bundle."""
    contract: str = ""
    """Our contract inside the file."""
    metadata: Mapping[str, str] = field(default_factory=dict)
    """What else an ONNX file carries."""
    model: Path | None = None
    """The model of a bundle."""

    @property
    def sha256(self) -> str:
        """SHA-256 of what computes: the file, or a bundle's model."""
        return sha256_of(self.model or self.path)


def inspect(path: Path) -> PolicyFile:
    """Look into a policy file, without running anything of it.

    Raises:
        UsageError: There is no such file, it is no policy, or it asks for what is not given.
    """
    if not path.is_file():
        raise UsageError("there is no such policy", source=str(path), allowed="policy.onnx, policy.pt or a checkpoint")
    if path.stat().st_size > MOST_BYTES:
        raise UsageError(
            f"the policy has {path.stat().st_size:,} bytes", source=str(path), allowed=f"at most {MOST_BYTES:,}"
        )
    bundle = bundle_beside(path) if path.suffix == ".onnx" else path if is_bundle(path) else None
    if bundle is not None:
        return _inspect_bundle(bundle)
    if path.suffix == ".onnx":
        return _inspect_onnx(path)
    members = members_of(path) or ()
    return _inspect_torchscript(path, members) if code_files(members) else PolicyFile(path=path, kind="checkpoint")


@contextlib.contextmanager
def opened(file: PolicyFile, activation: str | None = None) -> Iterator[AskedPolicy]:
    """Open a policy that was looked into.

    Args:
        file: What was found.
        activation: Activation of a checkpoint's network, where nothing beside it tells.

    Raises:
        UsageError: It cannot be read or run.
    """
    if file.kind == "checkpoint":
        from .checkpoint_policy import CheckpointPolicy

        yield CheckpointPolicy(file.path, activation)
        return
    with ConfinedPolicy(file.path, file.kind) as policy:
        if not 1 <= policy.inputs <= MOST_INPUTS:
            raise UsageError(f"the policy takes {policy.inputs} inputs", source=str(file.path))
        yield policy


def _inspect_bundle(path: Path) -> PolicyFile:
    """Look into a bundle: its document says what the model's inputs and outputs are."""
    bundle = read_bundle(path)
    model = _parsed(bundle.model)
    _check_operators(model, bundle.model)
    _check_tensors(model, bundle.model)
    taken = {value.name for value in model.graph.input}
    missing = [tensor.name for tensor in bundle.inputs if tensor.name not in taken]
    if missing:
        raise UsageError(
            f"{bundle.model.name} is not the model of the bundle: it has no input {missing[0]}", source=str(path)
        )
    return PolicyFile(path=path, kind=bundle.kind, contract=_metadata(model).get(CONTRACT_KEY, ""), model=bundle.model)


def _inspect_onnx(path: Path) -> PolicyFile:
    model = _parsed(path)
    _check_operators(model, path)
    _check_tensors(model, path)
    _check_ends(model, path)
    metadata = _metadata(model)
    return PolicyFile(path=path, kind="onnx", contract=metadata.pop(CONTRACT_KEY, ""), metadata=metadata)


def _metadata(model: onnx.ModelProto) -> dict[str, str]:
    return {entry.key: entry.value for entry in model.metadata_props}


def _parsed(path: Path) -> onnx.ModelProto:
    """Return the graph of an ONNX file, weights outside it left there."""
    import onnx

    try:
        # The parser of protocol buffers raises errors of its own.
        model = call_foreign(lambda: onnx.load(str(path), load_external_data=False))
    except ForeignError:
        raise UsageError("this is not an ONNX file", source=str(path)) from None
    if not model.graph.output:
        raise UsageError("this is not an ONNX file: it has no outputs", source=str(path))
    return model


def _check_operators(model: onnx.ModelProto, path: Path) -> None:
    import onnx

    newest = onnx.defs.onnx_opset_version()
    for used in model.opset_import:
        if used.domain in ("", "ai.onnx") and used.version > newest:
            raise UsageError(
                f"the policy needs ONNX operator set {used.version}, which the runtime here does not have",
                source=str(path),
                allowed=f"at most {newest}",
                hint="export it with an older opset",
            )
    own = {(function.domain, function.name) for function in model.functions}
    for node in _nodes(model):
        if node.domain not in DOMAINS and (node.domain, node.op_type) not in own:
            raise UsageError(
                f"the policy has the custom operator {node.domain}::{node.op_type}, which is not part of the file",
                source=str(path),
                allowed="operators of ONNX",
                hint="export it without custom operators",
            )


def _nodes(model: onnx.ModelProto) -> Iterator[onnx.NodeProto]:
    """Yield every node, those of functions and of the branches of control flow too."""
    stack = [*model.graph.node, *(node for function in model.functions for node in function.node)]
    while stack:
        node = stack.pop()
        yield node
        for attribute in node.attribute:
            for graph in (attribute.g, *attribute.graphs):
                stack.extend(graph.node)


def _check_tensors(model: onnx.ModelProto, path: Path) -> None:
    """Check that weights outside the file lie beside it, and that no tensor is too large."""
    attributes = (attribute for node in _nodes(model) for attribute in node.attribute)
    constants = [tensor for attribute in attributes for tensor in (attribute.t, *attribute.tensors)]
    total = path.stat().st_size
    seen: set[Path] = set()
    for tensor in (*model.graph.initializer, *constants):
        values = math.prod(tensor.dims)
        if values > MOST_VALUES or any(size < 0 for size in tensor.dims):
            raise UsageError(
                f"the policy's tensor {tensor.name or 'without a name'} has {values:,} values",
                source=str(path),
                allowed=f"at most {MOST_VALUES:,}",
            )
        for entry in tensor.external_data:
            if entry.key == "location":
                beside = _beside(path, entry.value)
                if beside not in seen:
                    seen.add(beside)
                    total += beside.stat().st_size
    if total > MOST_BYTES:
        raise UsageError(f"the policy has {total:,} bytes", source=str(path), allowed=f"at most {MOST_BYTES:,}")


def _beside(path: Path, location: str) -> Path:
    folder = path.resolve().parent
    target = (folder / location).resolve()
    if folder not in target.parents or (folder / location).is_symlink():
        raise UsageError(
            f"the policy's weights are said to be in {location}, outside its folder",
            source=str(path),
            allowed="files beside the policy",
        )
    if not target.is_file():
        raise UsageError(f"the policy's weights are missing: {location}", source=str(path))
    return target


def _check_ends(model: onnx.ModelProto, path: Path) -> None:
    """Check that the inputs are observations, and hidden states that come back as outputs."""
    initial = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in initial]
    if not inputs:
        raise UsageError("the policy has no input", source=str(path))
    # A hidden state may stand before the observations.
    inputs.sort(key=lambda value: value.name.lower() not in OBSERVATIONS)
    sizes = [[dim.dim_value for dim in value.type.tensor_type.shape.dim] for value in inputs]
    outputs = [[dim.dim_value for dim in value.type.tensor_type.shape.dim] for value in model.graph.output]
    if not 2 <= len(sizes[0]) <= 3 or any(size < 1 for size in sizes[0][1:]):
        raise UsageError(
            f"the policy's input {inputs[0].name} does not say how many observations it takes",
            source=str(path),
            allowed="one vector of a fixed length for each robot",
            hint="export it with an example of the shape (1, observations)",
        )
    width = math.prod(sizes[0][1:])
    if width > MOST_INPUTS:
        raise UsageError(f"the policy takes {width:,} inputs", source=str(path), allowed=f"at most {MOST_INPUTS:,}")
    for value, size in zip(inputs[1:], sizes[1:], strict=True):
        if len(outputs) < 2 or size not in outputs or value.name in ("time_step", "step"):
            raise UsageError(
                f"the policy has a second input, {value.name}, which is no hidden state",
                source=str(path),
                hint="policies are run that take observations alone, and hidden states that they give back",
            )


def _inspect_torchscript(path: Path, members: Sequence[zipfile.ZipInfo]) -> PolicyFile:
    if sum(member.file_size for member in members) > MOST_BYTES:
        raise UsageError("the policy unpacks to more than 1 GiB", source=str(path))
    check_code(path)
    inside = next((one for one in members if one.filename.endswith(f"/extra/{CONTRACT_FILE}")), None)
    with zipfile.ZipFile(path) as archive:
        text = archive.read(inside).decode("utf-8", "replace") if inside else ""
    return PolicyFile(path=path, kind="torchscript", contract=text)
