"""Decoder of JSON documents into frozen dataclasses, with errors that name the field."""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from collections.abc import Mapping
from typing import Any

from .errors import UsageError, nearest


def decode(cls: type[Any], values: Any, source: str, where: str = "") -> Any:
    """Build a dataclass from a JSON object.

    Args:
        cls: Dataclass whose fields are numbers, texts, tuples, mappings, dataclasses or optional ones of these.
        values: The JSON object.
        source: The document, for errors.
        where: Dotted path of the object inside the document.

    Raises:
        UsageError: A field is unknown, missing or of another type.
    """
    if not isinstance(values, Mapping):
        raise _wrong(where or "document", "an object", source)
    fields = {field.name: field for field in dataclasses.fields(cls)}
    unknown = sorted(set(values) - set(fields))
    if unknown:
        close = nearest(unknown[0], fields, 1)
        raise UsageError(
            f"unknown field '{_join(where, unknown[0])}'",
            source=source,
            allowed=", ".join(fields),
            hint=f"did you mean {close}?" if close else None,
        )
    missing = [name for name, field in fields.items() if name not in values and _required(field)]
    if missing:
        raise UsageError(f"field '{_join(where, missing[0])}' is missing", source=source)
    hints = typing.get_type_hints(cls)
    return cls(**{name: _convert(hints[name], value, source, _join(where, name)) for name, value in values.items()})


def _convert(hint: Any, value: Any, source: str, where: str) -> Any:
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return value
    if origin in (typing.Union, types.UnionType):
        if value is None and type(None) in args:
            return None
        arms = [arm for arm in args if arm is not type(None)]
        return _convert(next((arm for arm in arms if _fits(arm, value)), arms[0]), value, source, where)
    if dataclasses.is_dataclass(hint):
        return decode(typing.cast("type[Any]", hint), value, source, where)
    if origin is tuple:
        return _convert_tuple(args, value, source, where)
    if hint is float and isinstance(value, int | float) and not isinstance(value, bool):
        if not math.isfinite(value):
            raise _wrong(where, "a finite number", source)
        return float(value)
    expected = origin or hint
    if not isinstance(value, expected) or (expected is int and isinstance(value, bool)):
        raise _wrong(
            where, {float: "a number", int: "a whole number", str: "a text"}.get(expected, "an object"), source
        )
    return value


def _fits(arm: Any, value: Any) -> bool:
    """Whether an arm of a union is of a value's kind: a list, a text, an object, or a number."""
    kind = typing.get_origin(arm) or arm
    if dataclasses.is_dataclass(arm):
        return isinstance(value, Mapping)
    return isinstance(value, list | tuple) if kind is tuple else isinstance(value, kind)


def _convert_tuple(args: tuple[Any, ...], value: Any, source: str, where: str) -> tuple[Any, ...]:
    if not isinstance(value, list | tuple):
        raise _wrong(where, "a list", source)
    if len(args) == 2 and args[1] is Ellipsis:
        return tuple(_convert(args[0], item, source, f"{where}[{index}]") for index, item in enumerate(value))
    if len(value) != len(args):
        raise _wrong(where, f"a list of {len(args)}", source)
    return tuple(
        _convert(arm, item, source, f"{where}[{index}]")
        for index, (arm, item) in enumerate(zip(args, value, strict=True))
    )


def _required(field: dataclasses.Field[Any]) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def _join(where: str, name: str) -> str:
    return f"{where}.{name}" if where else name


def _wrong(where: str, expected: str, source: str) -> UsageError:
    return UsageError(f"'{where}' is not {expected}", source=source)
