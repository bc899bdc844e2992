"""LEAPP bundles as they are read: a YAML document that says what each input and output of one ONNX file is.

Sensors go in and joint targets come out; memories go from an output back to an input.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..spec.checkpoint_files import sha256_of
from ..spec.errors import UsageError

_MOST_BYTES = 1 << 22
"""Largest document that is read."""


@dataclass(frozen=True, kw_only=True)
class BundleTensor:
    """An input or output of the bundle's model."""

    name: str
    size: int
    """Values for one robot."""
    kind: str
    """LEAPP's word for what it is, ``state/joint/position``; empty where nobody said."""
    source: str
    """Isaac Lab's word for where it comes from or goes to, ``state:robot:root_lin_vel_b``."""
    elements: tuple[str, ...]
    """Name of each value; empty where nobody said."""


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """A bundle of one node."""

    path: Path
    """The document."""
    model: Path
    """The ONNX file."""
    inputs: tuple[BundleTensor, ...]
    """Inputs that the robot gives, in the model's order."""
    outputs: tuple[BundleTensor, ...]
    """Outputs that leave it."""
    memories: tuple[tuple[str, str], ...]
    """Output and input of each memory."""
    first: Mapping[str, NDArray[np.float32]]
    """First value of a memory by its input's name; zeros where none is given."""
    period: float
    """Time between two steps [s]; 0 where nobody said."""

    def of_kind(self, kind: str) -> BundleTensor | None:
        """Return the first output of a kind."""
        return next((tensor for tensor in self.outputs if tensor.kind == kind), None)


def bundle_beside(model: Path) -> Path | None:
    """Return the document beside an ONNX file that says that it is this file's; None where there is none."""
    for path in sorted(model.parent.glob("*.yaml")):
        document = _document(path)
        for node in _nodes(document).values():
            parameters = node.get("parameters") if isinstance(node, Mapping) else None
            if isinstance(parameters, Mapping) and parameters.get("model_path") == model.name:
                return path
    return None


def is_bundle(path: Path) -> bool:
    """Whether a file is the document of a bundle."""
    return path.suffix in (".yaml", ".yml") and bool(_nodes(_document(path)))


def read_bundle(path: Path) -> Bundle:
    """Read a bundle.

    Raises:
        UsageError: It is none, has several nodes or another kind of model than ONNX, or its model is not the one that
            it was made for.
    """
    document = _document(path)
    nodes = _nodes(document)
    if len(nodes) != 1:
        raise UsageError(
            f"the bundle has {len(nodes)} nodes", source=str(path), allowed="one, from sensors to joint targets"
        )
    ((name, node),) = nodes.items()
    try:
        return _read(path, document, str(name), node)
    except (AttributeError, IndexError, KeyError, OSError, TypeError, ValueError, struct.error) as error:
        raise UsageError(
            f"the bundle is not written as LEAPP writes it: {type(error).__name__} {error}", source=str(path)
        ) from None


def _read(path: Path, document: Mapping[str, Any], name: str, node: Mapping[str, Any]) -> Bundle:
    pipeline = document["pipeline"]
    flow = pipeline.get("feedback_flow") or pipeline.get("feedback_connections") or {}
    memories = tuple(
        (source.partition("/")[2], target.partition("/")[2]) for source, targets in flow.items() for target in targets
    )
    fed = {target for _, target in memories}
    values = pipeline.get("initial_values")
    first = _initial_values(_beside(path, str(values))) if values else {}
    frequency = float((pipeline.get("configs") or {}).get("frequency") or 0.0)
    return Bundle(
        path=path,
        model=_model(path, node["parameters"]),
        inputs=tuple(_tensor(each) for each in node["inputs"] if each["name"] not in fed),
        outputs=tuple(_tensor(each) for each in node["outputs"] if each["name"] in pipeline["outputs"][name]),
        memories=memories,
        first={key.partition("/")[2]: value for key, value in first.items() if key.startswith(f"{name}/")},
        period=1.0 / frequency if frequency > 0 else 0.0,
    )


def _model(path: Path, parameters: Mapping[str, Any]) -> Path:
    """Return the model's file, once it is the one that the bundle was made for."""
    if parameters.get("backend") not in ("onnx", None):
        raise UsageError(
            f"the bundle's model is for the backend {parameters['backend']}", source=str(path), allowed="onnx"
        )
    model = _beside(path, str(parameters["model_path"]))
    told = parameters.get("sha256sum")
    if told and sha256_of(model) != told:
        raise UsageError(
            f"{model.name} is not the model that the bundle was made for: its sha256 is another", source=str(path)
        )
    return model


def _beside(path: Path, name: str) -> Path:
    """Return a file of the bundle's folder.

    Raises:
        UsageError: It lies outside, or is not there.
    """
    folder = path.resolve().parent
    file = (folder / name).resolve()
    if folder not in file.parents or not file.is_file():
        raise UsageError(f"a file of the bundle is not beside it: {name}", source=str(path))
    return file


def _tensor(told: Mapping[str, Any]) -> BundleTensor:
    shape = json.loads(told["shape"]) if isinstance(told["shape"], str) else told["shape"]
    return BundleTensor(
        name=str(told["name"]),
        size=int(np.prod([int(size) for size in shape[1:]])),
        kind=str(told.get("kind") or ""),
        source=str(told.get("isaaclab_connection") or ""),
        elements=tuple(_elements(told.get("element_names"))),
    )


def _elements(told: Any) -> Iterator[str]:
    """Yield the names of a tensor's values: those of its last axis."""
    if not isinstance(told, list) or not told:
        return
    names = told if all(isinstance(name, str) for name in told) else told[-1]
    yield from (str(name) for name in names or ())


def _document(path: Path) -> Mapping[str, Any]:
    """Return a YAML document, or nothing where it is none."""
    import yaml

    try:
        if path.stat().st_size > _MOST_BYTES:
            return {}
        found = yaml.safe_load(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, yaml.YAMLError, RecursionError):
        return {}
    return found if isinstance(found, Mapping) else {}


def _nodes(document: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the nodes of a bundle's document; none of another's."""
    nodes = document.get("models")
    return nodes if isinstance(nodes, Mapping) and isinstance(document.get("pipeline"), Mapping) else {}


def _initial_values(path: Path) -> dict[str, NDArray[np.float32]]:
    """Return the numbers of a safetensors file: a header in JSON, then the tensors one after the other."""
    content = path.read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    header, data = json.loads(content[8 : 8 + length]), content[8 + length :]
    found = {}
    for name, told in header.items():
        if name == "__metadata__":
            continue
        if told["dtype"] != "F32":
            raise ValueError(f"a memory's first value is of the type {told['dtype']}")
        start, end = told["data_offsets"]
        found[name] = np.frombuffer(data[start:end], "<f4").reshape(told["shape"])
    return found
