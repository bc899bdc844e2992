"""What a user writes after ``--``: words for ``osmo workflow submit``, in any order.

``osmo`` takes every word after ``--set``, ``--set-string`` or ``--set-env`` for a value, and up to release 6.3 a
repeated flag silently replaces the earlier one. Here the words are read once and handed on as one flag of each kind.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from ...errors import UsageError, nearest

SOURCE = "after --"
_VALUES = {"--set": "numbers", "--set-string": "texts", "--set-env": "environment"}
_OPTIONS = {"--pool": "pool", "-p": "pool", "--priority": "priority"}
_IGNORED = {"--format-type", "-t"}
_FLAGS = ("--set", "--set-string", "--set-env", "--dry-run", "--pool", "--priority", "--format-type")


@dataclass(frozen=True)
class Forwarded:
    """The words by what they are."""

    texts: Mapping[str, str] = field(default_factory=dict)
    """Bare ``key=value`` words and those of ``--set-string``."""
    numbers: Mapping[str, str] = field(default_factory=dict)
    """Words of ``--set``, which OSMO casts to numbers where it can."""
    environment: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, str] = field(default_factory=dict)
    """``pool`` and ``priority``."""
    dry_run: bool = False

    @property
    def variables(self) -> dict[str, str]:
        """Every template variable; a text wins over a number of the same name, as in OSMO."""
        return {**self.numbers, **self.texts}


def read(words: Sequence[str]) -> Forwarded:
    """Read what a user wrote after ``--``.

    Raises:
        UsageError: A word is neither ``key=value`` nor a flag of ``osmo workflow submit`` that means something here.
    """
    found: dict[str, dict[str, str]] = {"texts": {}, "numbers": {}, "environment": {}, "options": {}}
    kind, dry_run = "texts", False
    rest = iter(words)
    for word in rest:
        flag, _, joined = word.partition("=") if word.startswith("-") else (word, "", "")
        if flag == "--dry-run":
            dry_run, kind = True, "texts"
        elif flag in _VALUES:
            kind = _VALUES[flag]
            if joined:
                _add(found[kind], joined)
        elif flag in _OPTIONS:
            found["options"][_OPTIONS[flag]] = joined or _next(rest, flag)
            kind = "texts"
        elif flag in _IGNORED:
            _ = joined or _next(rest, flag)
            kind = "texts"
        elif word.startswith("-"):
            close = nearest(word, _FLAGS, 1)
            raise UsageError(
                f"unknown option '{word}' for osmo workflow submit",
                source=SOURCE,
                allowed=f"key=value words and {', '.join(_FLAGS)}",
                hint=f"did you mean {close}?" if close else None,
            )
        else:
            _add(found[kind], word)
    return Forwarded(**found, dry_run=dry_run)


def _add(values: dict[str, str], word: str) -> None:
    key, equals, value = word.partition("=")
    if not equals or not key:
        raise UsageError(f"'{word}' is not of the form key=value", source=SOURCE)
    values[key] = value


def _next(rest: Iterator[str], flag: str) -> str:
    value = next(rest, None)
    if value is None:
        raise UsageError(f"{flag} has no value", source=SOURCE)
    return value
