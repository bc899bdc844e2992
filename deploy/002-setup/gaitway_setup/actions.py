"""Actions of a step: commands, their standard input, and values that exist only while they run."""

from __future__ import annotations

import hashlib
import json
import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

LATE = "late://"
"""Prefix of a value that is inserted only when a command runs: a secret, or a date relative to today."""
_NAMED = re.compile(LATE + r"(\w+)")


@dataclass(frozen=True)
class Action:
    """One command of a step.

    Attributes:
        says: Its log line.
        argv: Program and arguments.
        feed: Its standard input.
        unless: A read-only command; if it succeeds, the action is skipped.
        keeps: Name of the late value that receives its standard output.
        field: Field of the JSON document on standard output to keep; the whole text when empty.
        every_time: Whether it runs again when a failed step is repeated (a login, a port forward).
        background: Whether it runs until the step ends; its first line of output says that it is ready.
        environ: Additional environment variables.
    """

    says: str
    argv: tuple[str, ...]
    feed: str = ""
    unless: tuple[str, ...] = ()
    keeps: str = ""
    field: str = ""
    every_time: bool = False
    background: bool = False
    environ: tuple[tuple[str, str], ...] = ()

    @property
    def key(self) -> str:
        """Hash of the action; late values are in it by name only."""
        text = json.dumps([self.argv, self.feed, self.environ])
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def shown(self) -> str:
        """Return the action as a shell line, with late values by name."""
        words = [f"{name}={shlex.quote(value)}" for name, value in self.environ]
        line = " ".join([*words, shlex.join(self.argv)])
        if self.keeps:
            line += f"   # kept as {LATE}{self.keeps}, printed nowhere"
        if self.background:
            line += " &"
        if self.feed:
            line += f" <<'END'\n{self.feed.rstrip()}\nEND"
        return f"{shlex.join(self.unless)} || \\\n  {line}" if self.unless else line


@dataclass(frozen=True)
class Plan:
    """Actions of a step in order, and the functions that make its late values."""

    actions: tuple[Action, ...]
    late: Mapping[str, Callable[[], str]] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """Hash of the plan: another deployment or another version has another one."""
        return hashlib.sha256("".join(action.key for action in self.actions).encode()).hexdigest()[:16]

    @property
    def programs(self) -> tuple[str, ...]:
        """Programs that the plan calls."""
        return tuple(dict.fromkeys(action.argv[0] for action in self.actions))


def fill(text: str, values: Mapping[str, str]) -> str:
    """Insert late values into a text, escaped as inside a quoted YAML or JSON string."""
    return _NAMED.sub(lambda found: json.dumps(values[found[1]])[1:-1] if found[1] in values else found[0], text)


def late_names(text: str) -> set[str]:
    """Return the names of the late values in a text."""
    return set(_NAMED.findall(text))
