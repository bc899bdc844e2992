"""Dotted keys of nested configurations, and the overrides that change them (``--set``). Standard library only."""

from __future__ import annotations

import ast
import contextlib
import dataclasses
import types
import typing
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeVar

from .errors import UsageError, nearest
from .settings import yes_or_no

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
        elif terms := terms_by_name(value):
            for name, term in terms.items():
                yield from keys_of(term, f"{prefix}{field.name}.{name}.")
        else:
            yield prefix + field.name


def terms_by_name(value: object) -> dict[str, Any]:
    """Return the terms of a tuple of dataclasses that have names; nothing for any other value."""
    items: tuple[Any, ...] = value if isinstance(value, tuple) else ()
    named = all(dataclasses.is_dataclass(item) and isinstance(getattr(item, "name", None), str) for item in items)
    return {item.name: item for item in items} if named else {}


def value_at(config: Any, key: str) -> Any:
    """Return the value at a dotted path that :func:`keys_of` yields."""
    for name in key.split("."):
        terms = terms_by_name(config)
        config = terms[name] if terms else getattr(config, name)
    return config


def _replaced(root: Any, config: Any, path: list[str], value: str, text: str) -> Any:
    name, rest = path[0], path[1:]
    known = {field.name for field in dataclasses.fields(config)}
    terms = terms_by_name(getattr(config, name)) if name in known else {}
    if terms and len(rest) > 1 and rest[0] in terms:
        changed = _replaced(root, terms[rest[0]], rest[1:], value, text)
        return dataclasses.replace(config, **{name: tuple({**terms, rest[0]: changed}.values())})
    nested = name in known and dataclasses.is_dataclass(getattr(config, name))
    if name not in known or nested != bool(rest):
        raise unknown_key(keys_of(root), text)
    if nested:
        return dataclasses.replace(config, **{name: _replaced(root, getattr(config, name), rest, value, text)})
    hint = typing.get_type_hints(type(config))[name]
    return dataclasses.replace(config, **{name: override_value(hint, value, text)})


def unknown_key(keys: Iterable[str], text: str) -> UsageError:
    """Return the error of an override whose key is none of some dotted keys; it names the nearest.

    Args:
        keys: The keys that there are, without the section.
        text: The override.
    """
    section, _, key = text.partition("=")[0].strip().partition(".")
    known = list(keys)
    # People remember the last word of a key best, so that is compared as well.
    by_last_word = [name for name in known if name.split(".")[-1] == key.split(".")[-1]]
    close = (nearest(key, by_last_word, 1) or by_last_word[0]) if by_last_word else nearest(key, known, 1)
    return UsageError(
        f"unknown key '{section}.{key}'",
        source=f"--set {text}",
        allowed=", ".join(_beside(key, known)),
        hint=f"did you mean {close}?" if close else None,
    )


def _beside(key: str, known: Sequence[str]) -> list[str]:
    """Return what may stand in place of the first word of a key that does not exist; ``name.*`` for several keys."""
    words, depth = key.split("."), 0
    while depth < len(words) and any(name.startswith(".".join(words[: depth + 1]) + ".") for name in known):
        depth += 1
    before = "".join(f"{word}." for word in words[:depth])
    found = dict.fromkeys(name.removeprefix(before).partition(".")[:2] for name in known if name.startswith(before))
    return [f"{before}{name}{dot and '.*'}" for name, dot in found]


def override_value(hint: Any, value: str, text: str) -> Any:
    """Return a value as the type that belongs there: a scalar, a tuple of them, or one of several types.

    Args:
        hint: The type.
        value: What the user wrote.
        text: The whole override, for the error.

    Raises:
        UsageError: It is not of that type.
    """
    arms = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    if type(None) in arms and value.lower() in ("none", "null"):
        return None
    for arm in arms:
        if arm is not type(None):
            with contextlib.suppress(ValueError, SyntaxError, TypeError):
                return _parse_as(arm, value)
    what = _type_name(arms[0])
    raise UsageError(f"'{value}' is not {what}", source=f"--set {text}", allowed=what)


def _parse_as(hint: Any, value: str) -> Any:
    if typing.get_origin(hint) is tuple:
        kinds = typing.get_args(hint)
        parts = ast.literal_eval(value)
        if isinstance(parts, (list, tuple)) and Ellipsis in kinds:
            kinds = kinds[:1] * len(parts)
        if not isinstance(parts, (list, tuple)) or len(parts) != len(kinds):
            raise ValueError(value)
        return tuple(_parse_as(kind, str(part)) for kind, part in zip(kinds, parts, strict=True))
    if hint is bool:
        found = yes_or_no(value)
        if found is None:
            raise ValueError(value)
        return found
    if hint is str:
        return value.strip("'\"")
    return hint(value)


def _type_name(hint: Any) -> str:
    if typing.get_origin(hint) is tuple:
        kinds = typing.get_args(hint)
        count = "a list of " if Ellipsis in kinds else f"a list of {len(kinds)} "
        if typing.get_origin(kinds[0]) is tuple:
            return f"{count}lists"
        return _type_name(kinds[0]).replace("a ", count, 1) + "s"
    words = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}
    return words.get(hint, str(hint))
