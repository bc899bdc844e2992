"""Running a policy step by step: an exported file, or the checkpoint itself, behind one face.

A session keeps the hidden state of recurrent policies between calls and zeroes it where an episode ended.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..errors import UsageError
from .contract import CONTRACT_FILE, PolicyContract
from .export import ONNX_CONTRACT_KEY, quiet_torch
from .network import STATE_NAMES, Policy

State = tuple[NDArray[np.float32], ...]


class PolicySession(ABC):
    """A policy that can be asked for actions.

    Attributes:
        format: ``onnx``, ``jit`` or ``checkpoint``.
        provider: What computes, for example ``CPUExecutionProvider``.
        contract: The contract inside the file; None for a checkpoint without one.
    """

    format: str
    provider: str
    contract: PolicyContract | None

    def __init__(self, network: Mapping[str, Any]) -> None:
        recurrent = network.get("recurrent") or {}
        self._states = len(STATE_NAMES.get(recurrent.get("type", ""), ()))
        self._state_shape = (recurrent.get("layers", 0), recurrent.get("hidden_size", 0))
        self._state: State | None = None

    @property
    @abstractmethod
    def threads(self) -> int:
        """Threads that one call may use."""

    @property
    def recurrent(self) -> bool:
        """Whether a hidden state is carried from call to call."""
        return self._states > 0

    def act(self, observations: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the actions, (N, actions), for observations, (N, observations), and advance the hidden state.

        Raises:
            ValueError: N changed without a :meth:`reset` between.
        """
        observations = np.ascontiguousarray(observations, dtype=np.float32)
        state = self._state
        if state is None:
            layers, hidden = self._state_shape
            shape = (layers, len(observations), hidden)
            state = tuple(np.zeros(shape, np.float32) for _ in range(self._states))
        elif state and state[0].shape[1] != len(observations):
            raise ValueError(f"the session is at {state[0].shape[1]} worlds, not {len(observations)}: reset it first")
        actions, self._state = self._run(observations, state)
        return actions

    def reset(self, mask: NDArray[np.bool_] | None = None) -> None:
        """Start new episodes: in the worlds of ``mask``, shape (N,), or everywhere."""
        if mask is None:
            self._state = None
        elif self._state:
            self._state = tuple(np.where(mask[None, :, None], np.float32(0), state) for state in self._state)

    def info(self) -> dict[str, str | int]:
        """Return what a report of timings must say."""
        return {"format": self.format, "provider": self.provider, "threads": self.threads}

    @abstractmethod
    def _run(self, observations: NDArray[np.float32], state: State) -> tuple[NDArray[np.float32], State]: ...


class OnnxSession(PolicySession):
    """An exported ``policy.onnx`` in ONNX Runtime on the CPU."""

    format = "onnx"

    def __init__(self, path: Path, threads: int = 1) -> None:
        # It would otherwise report its use to its makers, from wherever a policy is played; read when it is loaded.
        os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
        import onnxruntime
        from onnxruntime.capi import onnxruntime_pybind11_state as failures

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        try:
            self._session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        except (failures.Fail, failures.InvalidGraph, failures.InvalidProtobuf, failures.RuntimeException) as error:
            raise _unreadable(path, error) from None
        self.provider = self._session.get_providers()[0]
        self._threads = threads
        metadata = self._session.get_modelmeta().custom_metadata_map
        self.contract = _contract(metadata.get(ONNX_CONTRACT_KEY, ""), path)
        self._inputs = [entry.name for entry in self._session.get_inputs()]
        super().__init__(self.contract.network)

    @property
    def threads(self) -> int:
        """Threads of ONNX Runtime for this session."""
        return self._threads

    def _run(self, observations: NDArray[np.float32], state: State) -> tuple[NDArray[np.float32], State]:
        actions, *after = self._session.run(None, dict(zip(self._inputs, (observations, *state), strict=True)))
        return actions, tuple(after)


class TorchSession(PolicySession):
    """A torch module on the CPU: an exported ``policy.pt``, or a checkpoint's own network."""

    provider = "torch CPU"

    def __init__(
        self, module: Callable[..., Any], network: Mapping[str, Any], contract: PolicyContract | None, format: str
    ) -> None:
        self.format = format
        self.contract = contract
        self._module = module
        super().__init__(network)

    @property
    def threads(self) -> int:
        """Threads of torch in this process."""
        return torch.get_num_threads()

    def _run(self, observations: NDArray[np.float32], state: State) -> tuple[NDArray[np.float32], State]:
        with torch.inference_mode():
            result = self._module(torch.from_numpy(observations), *map(torch.from_numpy, state))
        actions, *after = result if self.recurrent else (result,)
        return actions.numpy(), tuple(tensor.numpy() for tensor in after)


def open_session(path: Path, *, threads: int = 1) -> PolicySession:
    """Open an exported policy.

    Args:
        path: ``policy.onnx`` or ``policy.pt``; the suffix tells which.
        threads: Threads of ONNX Runtime; TorchScript runs on the threads that torch has in this process.

    Raises:
        UsageError: The file is not an export with a contract inside.
    """
    path = Path(path)
    if not path.is_file():
        raise UsageError("there is no such exported policy", source=str(path))
    if path.suffix not in OPENERS:
        raise UsageError("this is no exported policy", source=str(path), allowed=", ".join(OPENERS))
    return OPENERS[path.suffix](path, threads)


def _open_jit(path: Path, threads: int) -> PolicySession:
    extra: dict[str, str | bytes] = {CONTRACT_FILE: ""}
    try:
        with quiet_torch():
            module = torch.jit.load(path, map_location="cpu", _extra_files=extra)  # type: ignore[no-untyped-call]
    except RuntimeError as error:
        raise _unreadable(path, error) from None
    text = extra[CONTRACT_FILE]
    contract = _contract(text.decode() if isinstance(text, bytes) else text, path)
    return TorchSession(module.eval(), contract.network, contract, "jit")


OPENERS: dict[str, Callable[[Path, int], PolicySession]] = {".onnx": OnnxSession, ".pt": _open_jit}
"""How exported files are opened, by suffix; a format of :data:`.export.FORMATS` has a row here."""


def checkpoint_session(policy: Policy) -> PolicySession:
    """Run the policy of a checkpoint as it is, without an export."""
    return TorchSession(policy.module, policy.network, policy.contract, "checkpoint")


def _contract(text: str, path: Path) -> PolicyContract:
    if not text:
        raise UsageError(
            "the exported policy has no contract inside: it was not exported by gaitway",
            source=str(path),
            hint="gaitway export CHECKPOINT makes one from the checkpoint",
        )
    return PolicyContract.from_json(text, f"the contract in {path}")


def _unreadable(path: Path, error: Exception) -> UsageError:
    reason = next(iter(str(error).splitlines()), type(error).__name__)[:160]
    return UsageError(f"the exported policy cannot be read: {reason}", source=str(path))
