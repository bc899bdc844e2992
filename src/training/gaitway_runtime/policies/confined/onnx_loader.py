"""Opener of ONNX files in the confined process: policies, and the models of bundles."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ...spec.registry import ForeignError, call_foreign
from ..bundles import Bundle
from .loaded import Floats, Loaded, Run, check_answers, probes

ACTIONS = ("actions", "action", "mu", "mean", "mean_actions", "mean_action")
"""Names of the output that is the action, where several are given; otherwise it is the first."""

OBSERVATIONS = ("obs", "observations", "observation", "actor_obs", "policy", "input", "state")
"""Names of the input that is the observation, where several are taken; otherwise it is the first."""

_KINDS = {"tensor(float)": np.float32, "tensor(double)": np.float64, "tensor(float16)": np.float16}


@dataclass(frozen=True, kw_only=True)
class Ports:
    """What a model's inputs and outputs are."""

    observations: tuple[str, ...]
    """Inputs that lie side by side in a row."""
    action: str
    states: tuple[tuple[str, str], ...] = ()
    """Input and output of each hidden state."""
    first: Mapping[str, Floats] = field(default_factory=dict)
    """First value of a state by its input; zeros where none is given."""


def load_onnx(path: Path, onnx: Any, onnxruntime: Any) -> Loaded:
    """Open an ONNX file that takes one vector of observations, and hidden states.

    Args:
        path: The file.
        onnx: The library, imported before the process was confined.
        onnxruntime: The same.

    Raises:
        ValueError: Its input is no vector of numbers, or its answers are of no use.
    """
    return _Opener(onnx.load(str(path)), onnxruntime).load(None)


def load_bundle(bundle: Bundle, onnx: Any, onnxruntime: Any) -> Loaded:
    """Open the model of a bundle; arguments and errors as for :func:`load_onnx`."""
    target = bundle.of_kind("target/joint/position")
    if target is None:
        kinds = ", ".join(tensor.kind or tensor.name for tensor in bundle.outputs)
        raise ValueError(f"it gives {kinds}, not target/joint/position")
    ports = Ports(
        observations=tuple(tensor.name for tensor in bundle.inputs),
        action=target.name,
        states=tuple((inside, outside) for outside, inside in bundle.memories),
        first=bundle.first,
    )
    gains = [tensor.name for tensor in map(bundle.of_kind, ("kp", "kd")) if tensor is not None]
    return _Opener(onnx.load(str(bundle.model)), onnxruntime).load(ports, gains if len(gains) == 2 else [])


class _Opener:
    def __init__(self, model: Any, onnxruntime: Any) -> None:
        self._model, self._runtime = model, onnxruntime
        self._options = onnxruntime.SessionOptions()
        self._options.intra_op_num_threads = self._options.inter_op_num_threads = 1
        self._options.log_severity_level = 4

    def _session(self, model: Any) -> Any:
        content = model.SerializeToString()
        return self._runtime.InferenceSession(content, self._options, providers=["CPUExecutionProvider"])

    def load(self, told: Ports | None, gains: list[str] | None = None) -> Loaded:
        plain = self._session(self._model)
        ports = told or _plain_ports(plain)
        taken = {each.name: each for each in plain.get_inputs()}
        axes = [_batch_axis(taken[name].shape) for name, _ in ports.states]
        first = taken[ports.observations[0]].shape[0]
        if first != 1 and isinstance(first, int):
            # It was written for so many robots at once, and is asked for fewer.
            plain = self._session(_with_free_batch(self._model, ports, axes))
        alone = _caller(plain, ports)
        inputs = sum(_size(taken[name]) for name in ports.observations)
        fresh = [
            np.array(ports.first[name], np.float32) if name in ports.first else _one_row(taken[name].shape, axis)
            for (name, _), axis in zip(ports.states, axes, strict=True)
        ]
        check_answers(alone, inputs, fresh)
        outputs = alone(np.zeros((1, inputs), np.float32), fresh)[0].shape[1]
        found = self._batched(ports, alone, inputs, outputs, fresh, axes)
        found.gains = _constants(plain, ports, gains or [], fresh)
        return found

    def _batched(
        self, ports: Ports, alone: Run, inputs: int, outputs: int, fresh: list[Floats], axes: list[int]
    ) -> Loaded:
        """Return the policy, asked for several robots at once where it answers as one by one."""
        try:
            batched = call_foreign(lambda: _caller(self._session(_with_free_batch(self._model, ports, axes)), ports))
            if call_foreign(lambda: _alike(alone, batched, inputs, fresh, axes)):
                return Loaded(inputs, outputs, batched, fresh, axes)
        except ForeignError:
            pass  # its nodes need the batch of one that it was written with
        return Loaded(inputs, outputs, alone, fresh, axes, batched=False)


def _plain_ports(opened: Any) -> Ports:
    """Return the ports of a model of which nothing is told: states come back in the order in which they go in."""
    taken, given = opened.get_inputs(), [each.name for each in opened.get_outputs()]
    observation = next((each.name for each in taken if each.name.lower() in OBSERVATIONS), taken[0].name)
    action = next((name for name in given if name.lower() in ACTIONS), given[0])
    inside = [each.name for each in taken if each.name != observation]
    return Ports(
        observations=(observation,),
        action=action,
        states=tuple(zip(inside, [name for name in given if name != action], strict=False)),
    )


def _caller(opened: Any, ports: Ports) -> Run:
    """Return a session as a function of rows and hidden states."""
    taken = {each.name: each for each in opened.get_inputs()}
    for name in ports.observations:
        if taken[name].type not in _KINDS:
            raise ValueError(f"its input {name} is a {taken[name].type}, not of floating point")
    widths = [_size(taken[name]) for name in ports.observations]
    edges = np.cumsum(widths)[:-1]
    order = [ports.action, *(outside for _, outside in ports.states)]

    def run(rows: Floats, values: list[Floats]) -> tuple[Floats, list[Floats]]:
        asked = {inside: value for (inside, _), value in zip(ports.states, values, strict=True)}
        for name, part in zip(ports.observations, np.split(rows, edges, axis=1), strict=True):
            shape = [size if isinstance(size, int) else 1 for size in taken[name].shape[1:]]
            asked[name] = part.reshape(len(rows), *shape).astype(_KINDS[taken[name].type])
        outputs, *after = opened.run(order, asked)
        return outputs.reshape(len(rows), -1).astype(np.float32), list(after)

    return run


def _constants(opened: Any, ports: Ports, names: list[str], fresh: list[Floats]) -> list[list[float]]:
    """Return outputs that do not change, such as gains, of one robot."""
    if not names:
        return []
    asked = {inside: value for (inside, _), value in zip(ports.states, fresh, strict=True)}
    for each in opened.get_inputs():
        if each.name in ports.observations:
            asked[each.name] = np.zeros([size if isinstance(size, int) else 1 for size in each.shape], np.float32)
    return [np.ravel(value).astype(float).tolist() for value in opened.run(names, asked)]


def _size(entry: Any) -> int:
    """Return the values of an input for one robot."""
    return int(np.prod([size if isinstance(size, int) else 1 for size in entry.shape[1:]]))


def _alike(alone: Run, batched: Run, inputs: int, fresh: list[Floats], axes: list[int]) -> bool:
    """Whether several rows asked at once are answered as they are one by one."""
    rows = probes(inputs)
    many = [np.repeat(value, len(rows), axis=axis) for value, axis in zip(fresh, axes, strict=True)]
    together, after = batched(rows, many)
    apart = np.concatenate([alone(row[None], fresh)[0] for row in rows])
    kept = all(value.shape == wide.shape for value, wide in zip(after, many, strict=True))
    return kept and together.shape == apart.shape and np.allclose(together, apart, rtol=1e-3, atol=1e-4)


def _batch_axis(shape: list[Any]) -> int:
    """Return the axis of a hidden state along which robots lie: a free one, of a layer's state the second."""
    free = [axis for axis, size in enumerate(shape) if not isinstance(size, int)]
    single = [axis for axis, size in enumerate(shape) if size == 1]
    if free:
        return free[0]
    return 1 if len(shape) == 3 and 1 in single else next(iter(single), 1 if len(shape) == 3 else 0)


def _one_row(shape: list[Any], axis: int) -> Floats:
    sizes = [size if isinstance(size, int) and place != axis else 1 for place, size in enumerate(shape)]
    return np.zeros(sizes, np.float32)


def _with_free_batch(model: Any, ports: Ports, axes: list[int]) -> Any:
    """Return a model whose batch is not fixed."""
    wide = type(model)()
    wide.CopyFrom(model)
    del wide.graph.value_info[:]
    inside = dict.fromkeys(ports.observations, 0) | {
        name: axis for (name, _), axis in zip(ports.states, axes, strict=True)
    }
    outside = {name: axis for (_, name), axis in zip(ports.states, axes, strict=True)}
    for value in wide.graph.input:
        if value.name in inside:
            value.type.tensor_type.shape.dim[inside[value.name]].dim_param = "batch"
    for value in wide.graph.output:
        dims = value.type.tensor_type.shape.dim
        if len(dims) and (value.name == ports.action or value.name in outside):
            dims[outside.get(value.name, 0)].dim_param = "batch"
    return wide
