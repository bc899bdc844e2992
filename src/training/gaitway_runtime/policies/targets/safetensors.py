"""Writer of safetensors files: a header in JSON, then the tensors one after the other."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from pathlib import Path

import torch

_TYPES = {torch.float32: "F32", torch.float64: "F64", torch.float16: "F16", torch.int64: "I64", torch.int32: "I32"}


def write_safetensors(tensors: Mapping[str, torch.Tensor], path: Path, metadata: Mapping[str, str]) -> None:
    """Write tensors to a file, in the order of their names.

    Args:
        tensors: By name, contiguous and on the CPU.
        path: The file.
        metadata: Texts for the header.
    """
    header: dict[str, object] = {"__metadata__": dict(metadata)}
    blocks, start = [], 0
    for name, tensor in sorted(tensors.items()):
        block = tensor.numpy().tobytes()
        shape, span = list(tensor.shape), [start, start + len(block)]
        header[name] = {"dtype": _TYPES[tensor.dtype], "shape": shape, "data_offsets": span}
        blocks.append(block)
        start += len(block)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(blocks))
