"""Files of safetensors as they are read: a header in JSON, then the numbers of one tensor after the other."""

from __future__ import annotations

import json
import math
import struct
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

_TYPES = {
    **{"F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "i1"},
    **{"U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "u1", "BOOL": "?", "BF16": "<u2"},
}
"""numpy's type by the format's; of bfloat16 the bits are the upper half of a float32's."""

_MOST_HEADER = 100 << 20
"""Largest header that the format admits [bytes]."""


def read_safetensors(path: Path) -> dict[str, NDArray[Any]]:
    """Return the tensors of a file by name, bfloat16 as float32.

    Raises:
        ValueError: It is not written as the format says, or has a type of number that numpy lacks.
    """
    content = path.read_bytes()
    (length,) = struct.unpack("<Q", content[:8]) if len(content) >= 8 else (_MOST_HEADER,)
    if length > min(_MOST_HEADER, len(content) - 8):
        raise ValueError("it is shorter than it says")
    header, data = json.loads(content[8 : 8 + length]), memoryview(content)[8 + length :]
    if not isinstance(header, dict):
        raise ValueError("its header is no mapping")
    return {name: _tensor(name, told, data) for name, told in header.items() if name != "__metadata__"}


def _tensor(name: str, told: Any, data: memoryview) -> NDArray[Any]:
    try:
        kind, shape, (start, end) = told["dtype"], told["shape"], told["data_offsets"]
        if kind not in _TYPES:
            raise ValueError(f"the tensor {name} is of the type {kind}")
        whole = 0 <= start <= end <= len(data) and all(size >= 0 for size in shape)
        if not whole or math.prod(shape) * np.dtype(_TYPES[kind]).itemsize != end - start:
            raise ValueError(f"the tensor {name} has another size than its data")
        found = np.frombuffer(data[start:end], _TYPES[kind]).reshape(shape)
    except (KeyError, TypeError):
        raise ValueError(f"the tensor {name} is not described as the format says") from None
    return (found.astype("<u4") << 16).view("<f4") if kind == "BF16" else found
