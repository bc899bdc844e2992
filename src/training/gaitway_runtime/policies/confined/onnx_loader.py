"""Opener of ONNX files in the confined process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ...spec.registry import ForeignError, call_foreign
from .loaded import Floats, Loaded, Run, check_answers, probes

ACTIONS = ("actions", "action", "mu", "mean", "mean_actions", "mean_action")
"""Names of the output that is the action, where several are given; otherwise it is the first."""

OBSERVATIONS = ("obs", "observations", "observation", "actor_obs", "policy", "input", "state")
"""Names of the input that is the observation, where several are taken; otherwise it is the first."""

_KINDS = {"tensor(float)": np.float32, "tensor(double)": np.float64, "tensor(float16)": np.float16}


def load_onnx(path: Path, onnx: Any, onnxruntime: Any) -> Loaded:
    """Open an ONNX file.

    Args:
        path: The file.
        onnx: The library, imported before the process was confined.
        onnxruntime: The same.

    Raises:
        ValueError: Its input is no vector of numbers, or its answers are of no use.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4

    def session(content: bytes) -> Any:
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])

    model = onnx.load(str(path))
    plain = session(model.SerializeToString())
    given, others = _observation(plain.get_inputs())
    axes = [_batch_axis(other.shape) for other in others]
    if given.shape[0] != 1 and isinstance(given.shape[0], int):
        # It was written for so many robots at once, and is asked for fewer.
        plain = session(_with_free_batch(model, given.name, others, axes).SerializeToString())
    shape = [size if isinstance(size, int) else 1 for size in given.shape[1:]]
    inputs = int(np.prod(shape))
    zero = [_one_row(other.shape, axis) for other, axis in zip(others, axes, strict=True)]
    alone = _caller(plain, shape)
    check_answers(alone, inputs, zero)
    outputs = alone(np.zeros((1, inputs), np.float32), zero)[0].shape[1]
    try:
        wide = _with_free_batch(model, given.name, others, axes)
        batched = call_foreign(lambda: _caller(session(wide.SerializeToString()), shape))
        if call_foreign(lambda: _alike(alone, batched, inputs, zero, axes)):
            return Loaded(inputs, outputs, batched, zero, axes)
    except ForeignError:
        pass  # its nodes need the batch of one that it was written with
    return Loaded(inputs, outputs, alone, zero, axes, batched=False)


def _observation(inputs: list[Any]) -> tuple[Any, list[Any]]:
    """Return the input that is the observation, and the others: hidden states."""
    named = [each for each in inputs if each.name.lower() in OBSERVATIONS]
    given = named[0] if named else inputs[0]
    if given.type not in _KINDS:
        raise ValueError(f"its input {given.name} is a {given.type}, not of floating point")
    return given, [each for each in inputs if each is not given]


def _caller(opened: Any, shape: list[int]) -> Run:
    """Return a session as a function of rows and hidden states; those come back in the order in which they go in."""
    given, others = _observation(opened.get_inputs())
    names = [each.name for each in opened.get_outputs()]
    action = next((number for number, name in enumerate(names) if name.lower() in ACTIONS), 0)
    order = [names[action], *(name for name in names if name != names[action])][: len(others) + 1]

    def run(rows: Floats, values: list[Floats]) -> tuple[Floats, list[Floats]]:
        asked = {given.name: rows.reshape(len(rows), *shape).astype(_KINDS[given.type])}
        asked |= {other.name: value for other, value in zip(others, values, strict=True)}
        outputs, *after = opened.run(order, asked)
        return outputs.reshape(len(rows), -1).astype(np.float32), list(after)

    return run


def _alike(alone: Run, batched: Run, inputs: int, zero: list[Floats], axes: list[int]) -> bool:
    """Whether several rows asked at once are answered as they are one by one."""
    rows = probes(inputs)
    many = [np.repeat(value, len(rows), axis=axis) for value, axis in zip(zero, axes, strict=True)]
    together = batched(rows, many)[0]
    apart = np.concatenate([alone(row[None], zero)[0] for row in rows])
    return together.shape == apart.shape and np.allclose(together, apart, rtol=1e-3, atol=1e-4)


def _batch_axis(shape: list[Any]) -> int:
    free = [axis for axis, size in enumerate(shape) if not isinstance(size, int)]
    return free[0] if free else (1 if len(shape) == 3 else 0)


def _one_row(shape: list[Any], axis: int) -> Floats:
    sizes = [size if isinstance(size, int) and place != axis else 1 for place, size in enumerate(shape)]
    return np.zeros(sizes, np.float32)


def _with_free_batch(model: Any, given: str, others: list[Any], axes: list[int]) -> Any:
    """Return a model whose batch is not fixed."""
    wide = type(model)()
    wide.CopyFrom(model)
    del wide.graph.value_info[:]
    places = {given: 0, **{other.name: axis for other, axis in zip(others, axes, strict=True)}}
    for value in wide.graph.input:
        if value.name in places:
            value.type.tensor_type.shape.dim[places[value.name]].dim_param = "batch"
    names = [value.name for value in wide.graph.output]
    action = next((number for number, name in enumerate(names) if name.lower() in ACTIONS), 0)
    states = [number for number in range(len(names)) if number != action][: len(axes)]
    for number, value in enumerate(wide.graph.output):
        dims = value.type.tensor_type.shape.dim
        if len(dims):
            dims[axes[states.index(number)] if number in states else 0].dim_param = "batch"
    return wide
