"""What a step is made of: commands, what they are fed, and values that exist only while they run."""

from __future__ import annotations

import hashlib
import json
import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

LATE = "late://"
"""Begins the name of a value that is put in only when a command runs: a secret, or a day counted from today."""
_NAMED = re.compile(LATE + r"(\w+)")


@dataclass(frozen=True)
class Action:
    """One command of a step.

    Attributes:
        says: What it does, in the words of a log line.
        argv: Program and arguments.
        feed: What it reads on standard input.
        unless: A command that only looks; where it succeeds, the action is not needed.
        keeps: Name of the late value that its standard output becomes.
        field: Field of the JSON document on standard output to keep; the whole text when empty.
        every_time: Whether it runs again when a step goes on, because it only opens the way for what follows.
        background: Whether it runs until the step ends; it is ready once it has printed a line.
        environ: Variables of its own.
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
        """What tells this action from every other: late values are in it by name only."""
        text = json.dumps([self.argv, self.feed, self.environ])
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def shown(self) -> str:
        """Return the action as it could be typed, with late values by name."""
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
    """What a step does, in order, and how its late values come about."""

    actions: tuple[Action, ...]
    late: Mapping[str, Callable[[], str]] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """What tells this plan from one over another ground, or of other versions."""
        return hashlib.sha256("".join(action.key for action in self.actions).encode()).hexdigest()[:16]

    @property
    def programs(self) -> tuple[str, ...]:
        """The programs that it needs."""
        return tuple(dict.fromkeys(action.argv[0] for action in self.actions))


def fill(text: str, values: Mapping[str, str]) -> str:
    """Put late values into a text, as they stand inside a quoted YAML or JSON string."""
    return _NAMED.sub(lambda found: json.dumps(values[found[1]])[1:-1] if found[1] in values else found[0], text)


def named(text: str) -> set[str]:
    """Return the late values that a text names."""
    return set(_NAMED.findall(text))
