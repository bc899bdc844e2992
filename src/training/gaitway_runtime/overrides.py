"""``--set agent.KEY=VALUE`` and ``--set env.KEY=VALUE``: overrides of a configuration made of nested dataclasses.

Keys are dotted paths of field names; values are checked against the fields' types. Standard library only.
"""

from __future__ import annotations

import ast
import dataclasses
import types
import typing
from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

from .errors import UsageError, nearest

SECTIONS = ("agent", "env")
"""First words of an override: the learner's configuration and the environment's."""

Config = TypeVar("Config")


def check_sections(overrides: Sequence[str]) -> None:
    """Check that every override names a section and a key.

    Raises:
        UsageError: One does not look like ``agent.KEY=VALUE`` or ``env.KEY=VALUE``.
    """
    for text in overrides:
        path, equals, _ = text.partition("=")
        section, dot, key = path.strip().partition(".")
        if not (equals and dot and key) or section not in SECTIONS:
            raise UsageError(
                f"override '{text}' is not of the form SECTION.KEY=VALUE",
                source="--set",
                allowed="agent.KEY=VALUE, env.KEY=VALUE",
            )


def apply_overrides(config: Config, section: str, overrides: Sequence[str]) -> Config:
    """Return ``config`` with the overrides of one section applied, the last one of a key winning.

    Args:
        config: A dataclass, possibly of dataclasses.
        section: ``agent`` or ``env``; overrides of the other section are left alone.
        overrides: Texts like ``agent.algorithm.learning_rate=3e-4``.

    Raises:
        UsageError: A key is unknown (the error names the nearest) or a value does not fit its field.
    """
    check_sections(overrides)
    for text in overrides:
        path, _, value = text.partition("=")
        head, _, key = path.strip().partition(".")
        if head == section:
            config = _replaced(config, config, key.split("."), value.strip(), text)
    return config


def keys_of(config: Any, prefix: str = "") -> Iterator[str]:
    """Yield the dotted path of every value in a nested dataclass."""
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if dataclasses.is_dataclass(value):
            yield from keys_of(value, f"{prefix}{field.name}.")
        else:
            yield prefix + field.name


def _replaced(root: Any, config: Any, path: list[str], value: str, text: str) -> Any:
    name, rest = path[0], path[1:]
    known = {field.name for field in dataclasses.fields(config)}
    nested = name in known and dataclasses.is_dataclass(getattr(config, name))
    if name not in known or nested != bool(rest):
        raise _unknown_key(root, text)
    if nested:
        return dataclasses.replace(config, **{name: _replaced(root, getattr(config, name), rest, value, text)})
    hint = typing.get_type_hints(type(config))[name]
    return dataclasses.replace(config, **{name: _parse(hint, value, text)})


def _unknown_key(root: Any, text: str) -> UsageError:
    section, _, key = text.partition("=")[0].strip().partition(".")
    known = list(keys_of(root))
    # People remember the last word of a key best, so that is compared as well.
    by_last_word = [name for name in known if name.split(".")[-1] == key.split(".")[-1]]
    close = by_last_word[0] if by_last_word else nearest(key, known, 1)
    return UsageError(
        f"unknown key '{section}.{key}'",
        source=f"--set {text}",
        allowed=", ".join(known),
        hint=f"did you mean {close}?" if close else None,
    )


def _parse(hint: Any, value: str, text: str) -> Any:
    """Return ``value`` as the type a field is annotated with: a scalar, a tuple of scalars, or one of them or None."""
    if isinstance(hint, types.UnionType):
        if value.lower() in ("none", "null"):
            return None
        hint = typing.get_args(hint)[0]
    try:
        return _parse_as(hint, value)
    except (ValueError, SyntaxError):
        what = _type_name(hint)
        raise UsageError(f"'{value}' is not {what}", source=f"--set {text}", allowed=what) from None


def _parse_as(hint: Any, value: str) -> Any:
    if typing.get_origin(hint) is tuple:
        item = typing.get_args(hint)[0]
        parts = ast.literal_eval(value)
        if not isinstance(parts, (list, tuple)):
            raise ValueError(value)
        return tuple(_parse_as(item, str(part)) for part in parts)
    if hint is bool:
        words = {"true": True, "1": True, "false": False, "0": False}
        if value.lower() not in words:
            raise ValueError(value)
        return words[value.lower()]
    if hint is str:
        return value.strip("'\"")
    return hint(value)


def _type_name(hint: Any) -> str:
    if typing.get_origin(hint) is tuple:
        return _type_name(typing.get_args(hint)[0]).replace("a ", "a list of ", 1) + "s"
    words = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}
    return words.get(hint, str(hint))
