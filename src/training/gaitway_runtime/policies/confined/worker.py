"""Process that runs a stranger's policy, confined.

    python -m gaitway_runtime.policies.confined.worker FILE onnx|torchscript|leapp|whole-loop

It writes one line of JSON (sizes, or why the policy cannot be run), then answers requests on its standard streams: two
32-bit numbers (what is asked, rows) and the rows; see :mod:`.process`.
"""

from __future__ import annotations

import json
import os
import struct
import sys
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from ...process.lifecycle import stop_with_parent
from ...spec.registry import ForeignError, call_foreign
from ..bundles import KINDS, read_bundle
from .confinement import confine
from .loaded import Floats, Loaded
from .onnx_loader import load_bundle, load_onnx
from .torchscript_loader import load_torchscript

ACT, RESET = 1, 2
"""What is asked."""
DONE, FAILED = 0, 1
"""How it went; a failure is followed by the length of its message and the message."""


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
        {
            "inputs": loaded.inputs,
            "outputs": loaded.outputs,
            "states": len(loaded.states),
            "gains": loaded.gains,
            "confined": confined,
        },
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
    if kind != "torchscript":
        import onnx
        import onnxruntime

        bundle = read_bundle(path) if kind in KINDS else None
        confined = confine()
        if bundle is not None:
            return load_bundle(bundle, onnx, onnxruntime), confined
        return load_onnx(path, onnx, onnxruntime), confined
    import torch

    torch.set_num_threads(1)
    torch.ones(4, 4) @ torch.ones(4, 4)  # starts what it starts
    confined = confine()
    return load_torchscript(path, torch), confined


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
