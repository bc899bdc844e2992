"""Harmless stand-ins for numpy values inside a pickled checkpoint.

Runners keep curriculum numbers, command ranges and mean rewards beside the weights as numpy scalars and arrays. A
pickle names numpy's own constructors for them, which admit object arrays; these stand-ins admit numbers and texts only
and run nothing.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np

_NUMBERS = {kind + size for kind in "iu" for size in "1248"} | {"f2", "f4", "f8", "c8", "c16", "b1"}
_TEXT = re.compile(r"[SU][1-9]\d{0,4}")
"""Type of a text."""
_ORDERS = {"<", ">", "|", "="}


class PlainDtype:
    """A number type as a pickle writes it: ``dtype("f4", False, True)``, then a state with the byte order."""

    def __init__(self, code: object = "", *_: object) -> None:
        if not isinstance(code, str) or not (code in _NUMBERS or _TEXT.fullmatch(code)):
            raise ValueError(f"a numpy value of type {code!r:.40} is not a number")
        self.dtype = np.dtype(code)

    def __setstate__(self, state: object) -> None:
        order = state[1] if isinstance(state, tuple) and len(state) > 1 else "="
        if order not in _ORDERS:
            raise ValueError("a numpy value has an unknown byte order")
        if order in ("<", ">"):
            self.dtype = np.dtype(f"{order}{self.dtype.str[1:]}")


class PlainArray:
    """An array of numbers or texts; ``values`` is there once the pickle has given its state."""

    values: np.ndarray[Any, Any] | None = None

    def __setstate__(self, state: object) -> None:
        if not isinstance(state, tuple) or len(state) != 5:
            raise ValueError("a numpy array has an unknown state")
        _, shape, dtype, fortran, data = state
        if not isinstance(dtype, PlainDtype) or not isinstance(data, bytes) or not isinstance(shape, tuple):
            raise ValueError("a numpy array holds something else than numbers")
        if math.prod(shape) * dtype.dtype.itemsize != len(data):
            raise ValueError("a numpy array has another size than its data")
        self.values = np.frombuffer(data, dtype.dtype).reshape(shape, order="F" if fortran else "C")


def plain_scalar(dtype: object, data: object = b"") -> float | int | bool | complex | str | bytes:
    """Return a numpy scalar as a Python number or text.

    Raises:
        ValueError: It is neither.
    """
    if not isinstance(dtype, PlainDtype) or not isinstance(data, bytes) or len(data) != dtype.dtype.itemsize:
        raise ValueError("a numpy scalar is not a number")
    number: float | int | bool | complex | str | bytes = np.frombuffer(data, dtype.dtype)[0].item()
    return number


def plain_array(*_: object) -> PlainArray:
    """Return an empty array, to which the pickle then gives its state."""
    return PlainArray()


def plain_buffer(data: object, dtype: object, shape: object, order: object = "C") -> PlainArray:
    """Return an array as pickles of protocol 5 write it."""
    array = PlainArray()
    data = bytes(data) if isinstance(data, bytearray) else data
    array.__setstate__((1, shape, dtype, order == "F", data))
    return array


class PlainNumberType:
    """A type of number that is named and not made."""


def plain_bytes() -> bytes:
    """Return the data of an empty array; a pickle that asks for any other number of bytes is refused."""
    return b""


def stand_ins() -> list[Callable[..., Any] | tuple[Callable[..., Any], str]]:
    """Return the stand-ins with the names that pickles of numpy 1 and 2 call them by."""
    found: list[Callable[..., Any] | tuple[Callable[..., Any], str]] = [
        (PlainDtype, "numpy.dtype"),
        (PlainArray, "numpy.ndarray"),
        *((plain_bytes, f"{module}.bytes") for module in ("builtins", "__builtin__")),
        *((PlainNumberType, f"numpy.{name}") for name in _TYPE_NAMES),
    ]
    for core in ("numpy.core", "numpy._core"):
        found += [(plain_scalar, f"{core}.multiarray.scalar"), (plain_array, f"{core}.multiarray._reconstruct")]
        found += [(plain_buffer, f"{core}.numeric._frombuffer")]
    return found


_TYPE_NAMES = ("bool", "bool_", *(f"{kind}{size}" for kind in ("int", "uint") for size in (8, 16, 32, 64)))
_TYPE_NAMES += ("float16", "float32", "float64")
