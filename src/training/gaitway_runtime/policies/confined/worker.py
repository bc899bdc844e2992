"""Process that runs a stranger's policy, confined.

    python -m gaitway_runtime.policies.confined.worker FILE onnx|torchscript

It writes one line of JSON (sizes, or why the policy cannot be run), then answers requests on its standard streams: two
32-bit numbers (what is asked, rows) and the rows; see :mod:`.process`.
"""

from __future__ import annotations

import json
import os
import struct
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from ...process.lifecycle import stop_with_parent
from ...spec.registry import ForeignError, call_foreign
from .confinement import confine

Floats = NDArray[np.float32]
Run = Callable[[Floats, list[Floats]], tuple[Floats, list[Floats]]]
"""Rows and hidden states in, outputs and hidden states out."""
ACT, RESET = 1, 2
"""What is asked."""
DONE, FAILED = 0, 1
"""How it went; a failure is followed by the length of its message and the message."""
_WIDTHS = 4
"""Widths of layers that are tried as the input's, where a file does not say it."""


@dataclass(eq=False)
class Loaded:
    """A policy that can be called; hidden states are kept between calls."""

    inputs: int
    outputs: int
    run: Run
    states: list[tuple[int, ...]] = field(default_factory=list)
    """Shape of each hidden state, for one row."""
    axes: list[int] = field(default_factory=list)
    """Batch axis of each."""
    batched: bool = True
    """Whether several rows can be asked at once."""
    values: list[Floats] | None = None
    rows: int = 0

    def act(self, rows: Floats) -> Floats:
        """Return the outputs for some rows, and keep the hidden states."""
        if not self.batched:
            single = [self.run(row[None], [])[0] for row in rows]
            return np.concatenate(single)
        if self.values is None or self.rows != len(rows):
            self.rows = len(rows)
            self.values = [
                np.zeros([self.rows if axis == place else size for place, size in enumerate(shape)], np.float32)
                for shape, axis in zip(self.states, self.axes, strict=True)
            ]
        outputs, self.values = self.run(rows, self.values)
        return outputs

    def reset(self, mask: NDArray[np.bool_]) -> None:
        """Zero the hidden states of some rows, or forget all."""
        if not len(mask) or self.values is None:
            self.values = None
            return
        for value, axis in zip(self.values, self.axes, strict=True):
            np.moveaxis(value, axis, 0)[mask] = 0.0


def main(arguments: list[str]) -> int:
    """Load the policy, say what it is, and answer until the input ends."""
    stop_with_parent()
    answers = os.fdopen(os.dup(1), "wb")
    # A policy may print: what it prints must not stand among the answers.
    with open(os.devnull, "w") as nothing:
        os.dup2(nothing.fileno(), 1)
    try:
        # What a stranger's file makes a library raise is not known.
        loaded, confined = call_foreign(lambda: _load(Path(arguments[0]), arguments[1]))
    except ForeignError as error:
        _say(answers, {"error": str(error)})
        return 1
    _say(
        answers,
        {"inputs": loaded.inputs, "outputs": loaded.outputs, "states": len(loaded.states), "confined": confined},
    )
    _serve(loaded, sys.stdin.buffer, answers)
    return 0


def _say(answers: BinaryIO, document: dict[str, Any]) -> None:
    answers.write(json.dumps(document).encode() + b"\n")
    answers.flush()


def _serve(loaded: Loaded, asked: BinaryIO, answers: BinaryIO) -> None:
    while header := asked.read(8):
        what, count = struct.unpack("=II", header)
        if what == RESET:
            loaded.reset(np.frombuffer(asked.read(count), np.bool_))
            answers.write(struct.pack("=I", DONE))
        else:
            answers.write(_answer(loaded, asked.read(4 * count * loaded.inputs), count))
        answers.flush()


def _answer(loaded: Loaded, content: bytes, count: int) -> bytes:
    rows = np.frombuffer(content, np.float32).reshape(count, loaded.inputs)
    try:
        outputs: Floats = call_foreign(lambda: _checked(loaded.act(rows), count, loaded.outputs))
    except ForeignError as error:
        message = str(error).encode()[:2000]
        return struct.pack("=II", FAILED, len(message)) + message
    return struct.pack("=I", DONE) + outputs.tobytes()


def _checked(outputs: Any, rows: int, size: int) -> Floats:
    found = np.ascontiguousarray(outputs, np.float32)
    if found.shape != (rows, size):
        raise ValueError(f"the policy answered an array of shape {found.shape} to {rows} rows")
    return found


def _load(path: Path, kind: str) -> tuple[Loaded, str]:
    """Import what computes, confine the process, and only then open the file."""
    if kind == "onnx":
        import onnx
        import onnxruntime

        confined = confine()
        return _load_onnx(path, onnx, onnxruntime), confined
    import torch

    torch.set_num_threads(1)
    torch.ones(4, 4) @ torch.ones(4, 4)  # starts what it starts
    confined = confine()
    return _load_torchscript(path, torch), confined


def _load_onnx(path: Path, onnx: Any, onnxruntime: Any) -> Loaded:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4

    def session(content: bytes) -> Any:
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])

    model = onnx.load(str(path))
    plain = session(model.SerializeToString())
    first, *others = plain.get_inputs()
    inputs = int(np.prod([size if isinstance(size, int) else 1 for size in first.shape[1:]]))
    shape = [size if isinstance(size, int) else 1 for size in first.shape[1:]]
    kinds = {"tensor(float)": np.float32, "tensor(double)": np.float64, "tensor(float16)": np.float16}
    names = [first.name, *(other.name for other in others)]
    axes = [_batch_axis(other.shape) for other in others]
    states = [tuple(size if isinstance(size, int) else 1 for size in other.shape) for other in others]

    def caller(opened: Any) -> Run:
        def run(rows: Floats, values: list[Floats]) -> tuple[Floats, list[Floats]]:
            given = rows.reshape(len(rows), *shape).astype(kinds[first.type])
            outputs, *after = opened.run(None, dict(zip(names, (given, *values), strict=True)))
            return outputs.reshape(len(rows), -1), list(after[: len(values)])

        return run

    alone = caller(plain)
    zero = [np.zeros(state, np.float32) for state in states]
    outputs = alone(np.zeros((1, inputs), np.float32), zero)[0].shape[1]
    try:
        batched = call_foreign(lambda: caller(session(_with_free_batch(model, axes).SerializeToString())))
        if call_foreign(lambda: _alike(alone, batched, inputs, zero, axes)):
            return Loaded(inputs, outputs, batched, states, axes)
    except ForeignError:
        pass  # its nodes need the batch of one that it was written with
    if states:
        raise ValueError("it keeps a hidden state for one robot at a time")
    return Loaded(inputs, outputs, alone, batched=False)


def _alike(alone: Run, batched: Run, inputs: int, zero: list[Floats], axes: list[int]) -> bool:
    """Whether several rows asked at once are answered as they are one by one."""
    rows = np.random.default_rng(0).normal(size=(3, inputs)).astype(np.float32)
    many = [np.repeat(value, 3, axis=axis) for value, axis in zip(zero, axes, strict=True)]
    together = batched(rows, many)[0]
    apart = np.concatenate([alone(row[None], zero)[0] for row in rows])
    return together.shape == apart.shape and np.allclose(together, apart, rtol=1e-3, atol=1e-4)


def _batch_axis(shape: list[Any]) -> int:
    free = [axis for axis, size in enumerate(shape) if not isinstance(size, int)]
    return free[0] if free else (1 if len(shape) == 3 else 0)


def _with_free_batch(model: Any, axes: list[int]) -> Any:
    """Return a model whose batch is not fixed to one row."""
    wide = type(model)()
    wide.CopyFrom(model)
    del wide.graph.value_info[:]
    initial = {tensor.name for tensor in wide.graph.initializer}
    given = [value for value in wide.graph.input if value.name not in initial]
    for number, value in enumerate(given):
        dims = value.type.tensor_type.shape.dim
        dims[0 if number == 0 else axes[number - 1]].dim_param = "batch"
    for number, value in enumerate(wide.graph.output):
        dims = value.type.tensor_type.shape.dim
        if len(dims):
            dims[0 if number == 0 or number > len(axes) else axes[number - 1]].dim_param = "batch"
    return wide


def _load_torchscript(path: Path, torch: Any) -> Loaded:
    module = torch.jit.load(str(path), map_location="cpu").eval()
    widths = list(dict.fromkeys(int(entry.shape[1]) for entry in module.parameters() if entry.dim() == 2))
    widths += [int(entry.shape[-1]) for entry in module.buffers() if entry.dim() in (1, 2)]
    reason = "it has no layer that tells the length of its input"
    for width in dict.fromkeys(widths[:_WIDTHS]):
        found = _torch_loaded(module, torch, width)
        if isinstance(found, Loaded):
            return found
        reason = found
    raise ValueError(reason)


def _torch_loaded(module: Any, torch: Any, width: int) -> Loaded | str:
    """Return a module that takes inputs of some length, or why it does not."""
    states = _torch_states(module)

    def run(rows: Floats, values: list[Floats]) -> tuple[Floats, list[Floats]]:
        with torch.inference_mode():
            found = module(torch.from_numpy(np.array(rows)), *(torch.from_numpy(value) for value in values))
        outputs, *after = found if isinstance(found, tuple) else (found,)
        return outputs.numpy().reshape(len(rows), -1), [value.numpy() for value in after[: len(values)]]

    rows = np.random.default_rng(0).normal(size=(3, width)).astype(np.float32)
    zero = [np.zeros((layers, len(rows), size), np.float32) for layers, _, size in states]
    try:
        outputs = run(rows, zero)[0]
    except RuntimeError as error:
        return str(error).strip().splitlines()[-1]
    if not np.allclose(outputs, run(rows, zero)[0], rtol=1e-4, atol=1e-5):
        raise ValueError("it keeps a hidden state inside: export it with the state as input and output")
    return Loaded(width, outputs.shape[1], run, states, [1] * len(states))


def _torch_states(module: Any) -> list[tuple[int, ...]]:
    """Return the shape of each hidden state that a module takes beside observations, for one row."""
    taken = len(module.forward.schema.arguments) - 2  # beside the module itself and the observations
    hidden = [entry.shape[1] for name, entry in module.named_parameters() if "weight_hh_l" in name]
    if taken < 1 or not hidden:
        return []
    return [(len(hidden), 1, int(hidden[0]))] * taken


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
