"""Policy in a confined process of its own, asked through its standard streams."""

from __future__ import annotations

import json
import os
import select
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...process.lifecycle import bond
from ...spec.contract import PolicyContract
from ...spec.errors import UsageError
from .worker import ACT, DONE, RESET

_TRACEBACK = "Error: The following operation failed in the TorchScript interpreter."
START_SECONDS, ANSWER_SECONDS = 120.0, 120.0
"""Longest that opening a policy and one answer may take."""


class ConfinedPolicy:
    """A policy whose file is opened and run in a confined process; use it as a context manager.

    Args:
        path: The file.
        kind: ``onnx``, ``torchscript``, or that of a bundle.

    Raises:
        UsageError: It cannot be run; the error says why.
    """

    contract: PolicyContract | None = None
    """What is inside the file is read before it is opened."""
    assumptions: tuple[str, ...] = ()
    """The file computes by itself."""

    def __init__(self, path: Path, kind: str) -> None:
        self._path = path
        command = [sys.executable, "-m", "gaitway_runtime.policies.confined.worker", str(path.resolve()), kind]
        environment = {**os.environ, **bond(), "ORT_DISABLE_TELEMETRY": "1"}
        environment |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        root = str(Path(__file__).resolve().parents[3])
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, (root, environment.get("PYTHONPATH"))))
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment
        )
        said = self._greeting()
        self.inputs, self.outputs = int(said["inputs"]), int(said["outputs"])
        self.recurrent = bool(said["states"])
        self.gains = tuple(tuple(float(value) for value in values) for values in said["gains"])
        """Stiffness and damping of each output's joint, where the file has them; else empty."""
        self.confined = str(said["confined"])
        """What the confinement is made of."""

    def act(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the outputs, (N, A), for input vectors, (N, W).

        Raises:
            UsageError: The rows have another length, the policy failed, or its process ended.
        """
        rows = np.ascontiguousarray(rows, np.float32)
        if rows.shape[1] != self.inputs:
            raise UsageError(f"the policy takes {self.inputs} inputs, not {rows.shape[1]}", source=str(self._path))
        self._ask(struct.pack("=II", ACT, len(rows)) + rows.tobytes())
        found = np.frombuffer(self._read(4 * len(rows) * self.outputs), np.float32)
        return found.reshape(len(rows), self.outputs)

    def reset(self, mask: NDArray[np.bool_] | None = None) -> None:
        """Forget the hidden state of the masked rows, or of all."""
        marked = b"" if mask is None else np.ascontiguousarray(mask, np.bool_).tobytes()
        self._ask(struct.pack("=II", RESET, len(marked)) + marked)

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.communicate()

    def __enter__(self) -> ConfinedPolicy:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the process."""
        self.close()

    def _greeting(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        ready, _, _ = select.select([self._process.stdout], [], [], START_SECONDS)
        line = self._process.stdout.readline(4096) if ready else b""
        try:
            said = json.loads(line)
        except ValueError:
            raise self._failed("it ended the process that opened it") from None
        if "error" in said:
            raise self._failed(str(said["error"]))
        return dict(said)

    def _ask(self, request: bytes) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(request)
            self._process.stdin.flush()
        except OSError:
            raise self._failed("it ended the process that ran it") from None
        if struct.unpack("=I", self._read(4))[0] != DONE:
            size = struct.unpack("=I", self._read(4))[0]
            raise self._failed(self._read(min(size, 4096)).decode(errors="replace"))

    def _read(self, size: int) -> bytes:
        assert self._process.stdout is not None
        descriptor, parts = self._process.stdout.fileno(), []
        while size:
            ready, _, _ = select.select([descriptor], [], [], ANSWER_SECONDS)
            part = os.read(descriptor, min(size, 1 << 20)) if ready else b""
            if not part:
                raise self._failed("it ended the process that ran it" if ready else "it does not answer")
            parts.append(part)
            size -= len(part)
        return b"".join(parts)

    def _failed(self, reason: str) -> UsageError:
        self.close()
        return UsageError(f"the policy cannot be run: {_short(reason)}", source=str(self._path))


def _short(reason: str) -> str:
    """Return the telling line of an error."""
    lines = [line.strip() for line in reason.splitlines() if line.strip()]
    if _TRACEBACK in lines[:1]:
        lines.reverse()  # TorchScript's traceback ends with the error
    return (lines[0] if lines else "no reason given")[:300]
