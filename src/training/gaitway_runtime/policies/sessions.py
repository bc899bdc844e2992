"""Sessions that run a policy step by step: an exported file or the checkpoint itself, behind one interface.

A session keeps the hidden state of recurrent policies between calls and zeroes it where an episode ended.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..spec.contract import PolicyContract
from ..spec.errors import UsageError
from ..spec.export_formats import EXPORT_FORMATS
from ..spec.registry import ForeignError, call_foreign
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


class TorchSession(PolicySession):
    """A torch module on the CPU: an exported ``policy.pt``, or a checkpoint's own network."""

    provider = "torch CPU"

    def __init__(
        self, module: Callable[..., Any], network: Mapping[str, object], contract: PolicyContract | None, format: str
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
        path: Exported file; its suffix tells the format.
        threads: Threads of the format's runtime; TorchScript uses those that torch has in this process.

    Raises:
        UsageError: The file is not an export with a contract inside.
    """
    path = Path(path)
    if not path.is_file():
        raise UsageError("there is no such exported policy", source=str(path))
    openers = {Path(format.file).suffix: format.open for _, format in EXPORT_FORMATS.working()}
    if path.suffix not in openers:
        raise UsageError("this is not an exported policy", source=str(path), allowed=", ".join(openers))
    session = openers[path.suffix](path, threads)
    _try(session, path)
    return session


def _try(session: PolicySession, path: Path) -> None:
    """Ask a policy once, so that one that cannot run is refused as it is opened.

    Raises:
        UsageError: It fails, or gives something else than its contract says.
    """
    contract = session.contract
    if contract is None or not contract.observation_size:
        return
    try:
        given = call_foreign(lambda: session.act(np.zeros((1, contract.observation_size), np.float32)).shape)
    except ForeignError as error:
        raise unreadable_export(path, error) from None
    session.reset()
    if len(given) != 2 or given[0] != 1 or (contract.action_size and given[1] != contract.action_size):
        raise UsageError(
            f"the exported policy gives {given} for one observation, its contract says {contract.action_size} actions",
            source=str(path),
        )


def checkpoint_session(policy: Policy) -> PolicySession:
    """Run the policy of a checkpoint as it is, without an export."""
    return TorchSession(policy.module, policy.network, policy.contract, "checkpoint")


def embedded_contract(text: str, path: Path) -> PolicyContract:
    """Return the contract inside an exported file.

    Args:
        text: The document; empty where the file has none.
        path: The file, for the error.

    Raises:
        UsageError: There is none, or it is not valid.
    """
    if not text:
        raise UsageError(
            "the exported policy has no contract inside: it was not exported by gaitway",
            source=str(path),
            hint="gaitway export CHECKPOINT makes one from the checkpoint",
        )
    return PolicyContract.from_json(text, f"the contract in {path}")


def unreadable_export(path: Path, error: Exception) -> UsageError:
    """Return the error for an exported file that its runtime cannot load or run."""
    cause = error.cause if isinstance(error, ForeignError) else error
    reason = next(iter(str(cause).splitlines()), type(cause).__name__)[:400]
    return UsageError(f"the exported policy cannot be read: {reason}", source=str(path))
