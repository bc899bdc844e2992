"""Weights as tests need them: a hash that must be the same, whichever run wrote the file; a file that holds none."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

TORCH_START = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
"""First bytes of a file that torch wrote without its archive: enough of a checkpoint for what opens none."""


def digest(path: Path) -> str:
    """Return the SHA-256 of weights, normalisers and optimiser; what the file says of itself is left out."""
    found = hashlib.sha256()
    for name, tensor in tensors(torch.load(path, weights_only=True)):
        found.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        found.update(tensor.contiguous().numpy().tobytes())
    return found.hexdigest()


def tensors(value: Any, name: str = "") -> Iterator[tuple[str, torch.Tensor]]:
    if isinstance(value, torch.Tensor):
        yield name, value
    elif isinstance(value, dict):
        for key in sorted(value, key=str):
            yield from tensors(value[key], f"{name}.{key}")
    elif isinstance(value, (list, tuple)):
        for number, item in enumerate(value):
            yield from tensors(item, f"{name}.{number}")
