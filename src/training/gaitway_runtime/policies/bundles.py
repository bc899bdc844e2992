"""Bundles as they are read: a document that says what each input and output of one ONNX file is.

Sensors go in and joint targets come out; memories go from an output back to an input. LEAPP's documents are YAML; that
of our own whole loop (:mod:`.targets.whole_loop`) is ``loop.json``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..spec.checkpoint_files import sha256_of
from ..spec.errors import UsageError
from .safetensors_file import read_safetensors

LEAPP, WHOLE_LOOP = "leapp", "whole-loop"
KINDS = (LEAPP, WHOLE_LOOP)
LOOP_FILE = "loop.json"
"""Document of a whole loop, beside its model."""

_MOST_BYTES = 1 << 22
"""Largest document that is read."""

_SENSED = {
    "base_linear_velocity": "state/body/linear_velocity",
    "base_angular_velocity": "state/body/angular_velocity",
    "projected_gravity": "state/body/rotation",
    "joint_position": "state/joint/position",
    "joint_velocity": "state/joint/velocity",
    "velocity_command": "command/body/velocity",
    "height_scan": "height_scan",
}
"""LEAPP's word for the sensor that a whole loop computes a quantity from; the last has none there."""


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

    kind: str
    """``leapp`` or ``whole-loop``."""
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
    loop = model.with_name(LOOP_FILE)
    if is_bundle(loop) and model.name == _LOOP_MODEL:
        return loop
    for path in sorted(model.parent.glob("*.yaml")):
        document = _document(path)
        for node in _nodes(document).values():
            parameters = node.get("parameters") if isinstance(node, Mapping) else None
            if isinstance(parameters, Mapping) and parameters.get("model_path") == model.name:
                return path
    return None


def is_bundle(path: Path) -> bool:
    """Whether a file is the document of a bundle."""
    if path.name == LOOP_FILE:
        return isinstance(_document(path).get("memories"), Mapping)
    return path.suffix in (".yaml", ".yml") and bool(_nodes(_document(path)))


def read_bundle(path: Path) -> Bundle:
    """Read a bundle.

    Raises:
        UsageError: It is none, has several nodes or another kind of model than ONNX, or its model is not the one that
            it was made for.
    """
    document = _document(path)
    writer = "gaitway" if path.name == LOOP_FILE else "LEAPP"
    try:
        return _read_loop(path, document) if path.name == LOOP_FILE else _read_leapp(path, document)
    except (AttributeError, IndexError, KeyError, OSError, TypeError, ValueError) as error:
        raise UsageError(
            f"the bundle is not written as {writer} writes it: {type(error).__name__} {error}", source=str(path)
        ) from None


_LOOP_MODEL = "policy.onnx"


def _read_loop(path: Path, document: Mapping[str, Any]) -> Bundle:
    inputs = tuple(
        BundleTensor(
            name=str(told["name"]),
            size=int(np.prod([int(size) for size in told["shape"][1:]])),
            kind=_SENSED[told["quantity"]],
            source="",
            elements=tuple(map(str, told["elements"])),
        )
        for told in document["inputs"]
    )
    (targets,) = document["outputs"]
    elements = tuple(map(str, targets["elements"]))
    return Bundle(
        kind=WHOLE_LOOP,
        path=path,
        model=_beside(path, _LOOP_MODEL),
        inputs=inputs,
        outputs=(
            BundleTensor(
                name=str(targets["name"]),
                size=len(elements),
                kind="target/joint/position",
                source="",
                elements=elements,
            ),
        ),
        memories=tuple((f"{name}_out", f"{name}_in") for name in document["memories"]),
        first={},
        period=float(document["period_s"]),
    )


def _read_leapp(path: Path, document: Mapping[str, Any]) -> Bundle:
    nodes = _nodes(document)
    if len(nodes) != 1:
        raise UsageError(
            f"the bundle has {len(nodes)} nodes", source=str(path), allowed="one, from sensors to joint targets"
        )
    ((name, node),) = nodes.items()
    return _read(path, document, str(name), node)


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
        kind=LEAPP,
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
    """Return the first values of the memories, all of them float32."""
    found = read_safetensors(path)
    for values in found.values():
        if values.dtype != np.float32:
            raise ValueError(f"a memory's first value is of the type {values.dtype}")
    return found
