"""Policy of a checkpoint, asked as the files that run confined are."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from ..checkpoint import open_checkpoint
from ..reader import read_checkpoint
from ..sessions import checkpoint_session


class CheckpointPolicy:
    """The network of a checkpoint, rebuilt from its weights alone: nothing of the file runs."""

    confined = "weights alone are read"
    gains: tuple[tuple[float, ...], ...] = ()

    def __init__(self, path: Path, activation: str | None) -> None:
        policy = read_checkpoint(open_checkpoint(path), activation=activation)
        self._session = checkpoint_session(policy)
        self.inputs, self.outputs = policy.observation_size, policy.action_size
        self.recurrent = self._session.recurrent
        self.contract = policy.contract
        self.assumptions = policy.parts.assumptions

    def act(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the outputs, (N, A), for input vectors, (N, W)."""
        if self.recurrent and self._rows(rows):
            self._session.reset()
        with _one_thread():
            return self._session.act(rows)

    def reset(self, mask: NDArray[np.bool_] | None = None) -> None:
        """Forget the hidden state of the masked rows, or of all."""
        self._session.reset(mask)

    def _rows(self, rows: NDArray[np.float32]) -> bool:
        changed = getattr(self, "_count", len(rows)) != len(rows)
        self._count = len(rows)
        return changed


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """Let torch compute with one thread: several cost more than they bring for so small a network."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
