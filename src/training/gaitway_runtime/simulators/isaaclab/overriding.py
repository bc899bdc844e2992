"""``--set env.KEY=VALUE`` and ``--set agent.KEY=VALUE`` on Isaac Lab's own configurations.

Isaac Lab takes a key that does not exist, and a text where a number belongs, without a word; here both are errors.
Applying them is Isaac Lab's own affair in 3.0, which reads them with Hydra; for 2.x it is done here.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ...spec.dotted_keys import check_sections
from ...spec.errors import UsageError, nearest

_DEPTH = 8
"""Deepest key that is looked at when a wrong one's neighbours are listed."""


def check_overrides(overrides: Sequence[str], sections: Mapping[str, object]) -> None:
    """Check overrides against the configurations that they change.

    Args:
        overrides: Texts like ``agent.algorithm.learning_rate=3e-4``.
        sections: The configuration of ``env`` and, where something is learned, of ``agent``.

    Raises:
        UsageError: A key does not exist (the error names the nearest) or its value is no number where one belongs.
    """
    check_sections(overrides)
    for text in overrides:
        path, _, value = text.partition("=")
        section, _, key = path.strip().partition(".")
        if section in sections:
            _check(sections[section], section, key, value.strip(), text)


def of_sections(overrides: Sequence[str], sections: Mapping[str, object]) -> list[str]:
    """Return the overrides of some sections: an evaluation has no ``agent``."""
    return [text for text in overrides if text.strip().partition(".")[0] in sections]


def apply_overrides(overrides: Sequence[str], sections: Mapping[str, object]) -> None:
    """Write overrides, which passed :func:`check_overrides`, into configurations: Hydra of 2.x reads the command line.

    Raises:
        UsageError: A value is not of the kind that stands there, or a part of a tuple is to be changed.
    """
    for text in overrides:
        path, _, value = text.partition("=")
        section, *names, last = path.strip().split(".")
        holder = sections[section]
        for name in names:
            holder = fields_of(holder)[name]
        found = _like(fields_of(holder)[last], value.strip(), text)
        if isinstance(holder, dict):
            holder[last] = found
        elif isinstance(holder, list):
            holder[int(last)] = found
        elif isinstance(holder, tuple):
            raise UsageError(
                f"a part of '{path}' cannot be changed alone", source=f"--set {text}", hint="set the whole"
            )
        else:
            setattr(holder, last, found)


def _like(old: Any, value: str, text: str) -> Any:
    """Return a text as the kind of value that it takes the place of."""
    try:
        found = ast.literal_eval(value)
    except (ValueError, SyntaxError):
        found = {"true": True, "false": False, "null": None, "none": None}.get(value.lower(), value)
    if found is None or old is None:
        return found
    if isinstance(old, bool):
        if found not in (True, False):
            raise UsageError(f"'{value}' is not true or false", source=f"--set {text}", allowed="true, false")
        return bool(found)
    if isinstance(old, float) and isinstance(found, int):
        return float(found)
    if isinstance(old, tuple) and isinstance(found, list):
        return tuple(found)
    return found


def _check(config: Any, section: str, key: str, value: str, text: str) -> None:
    found = config
    for name in key.split("."):
        fields = fields_of(found)
        if name not in fields:
            known = list(keys_of(config))
            close = nearest(key, known) or nearest(name, fields)
            raise UsageError(
                f"unknown key '{section}.{key}'",
                source=f"--set {text}",
                allowed=", ".join(sorted(fields)) or "nothing below it",
                hint=f"did you mean {close}?" if close else None,
            )
        found = fields[name]
    if isinstance(found, (int, float)) and not isinstance(found, bool) and not _is_number(value):
        raise UsageError(f"'{value}' is not a number", source=f"--set {text}", allowed="a number")


def fields_of(config: Any) -> Mapping[str, object]:
    """Return what a configuration holds by name: of a dictionary, a list, or one of Isaac Lab's classes."""
    if isinstance(config, Mapping):
        return config
    if isinstance(config, (list, tuple)):
        return {str(number): value for number, value in enumerate(config)}
    if isinstance(config, (str, int, float, bool, type)) or config is None or callable(config):
        return {}
    return {name: value for name, value in vars(config).items() if not name.startswith("_")}


def keys_of(config: Any, prefix: str = "", depth: int = _DEPTH) -> Iterator[str]:
    """Yield the dotted path of every value of a configuration."""
    for name, value in fields_of(config).items():
        yield f"{prefix}{name}"
        if depth > 1:
            yield from keys_of(value, f"{prefix}{name}.", depth - 1)


def _is_number(text: str) -> bool:
    if text.lower() in ("null", "none", "inf", "-inf"):
        return True
    try:
        found = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return False
    return isinstance(found, (int, float))
