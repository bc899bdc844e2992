"""The errors a user sees, on either side of the wire.

Every error is one sentence, then up to three lines that say where the value came from, what would have
been accepted, and what to type next. The exit codes are the contract of the command line.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping

ErrorDocument = Mapping[str, str | int | None]
"""An error as it stands in a JSON document: ``message``, ``from``, ``allowed``, ``hint``, ``exit_code``."""


class GaitwayError(Exception):
    """A failure that has a sentence for the user.

    Args:
        message: One sentence, without a trailing newline.
        source: Where the offending value came from (``--num-envs``, ``env NUM_ENVS``, a file).
        allowed: What would have been accepted.
        hint: A command or an action that gets the user further.
    """

    exit_code = 1

    def __init__(
        self, message: str, *, source: str | None = None, allowed: str | None = None, hint: str | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.source = source
        self.allowed = allowed
        self.hint = hint

    def lines(self) -> list[str]:
        """Return the error as it is printed, a line an item."""
        notes = (("from", self.source), ("allowed", self.allowed), ("hint", self.hint))
        return [f"error: {self.message}", *(f"  {label}: {text}" for label, text in notes if text)]

    @staticmethod
    def from_dict(values: ErrorDocument) -> GaitwayError:
        """Return an error that was written by :meth:`as_dict`, for printing."""
        source, allowed, hint = (str(values[key]) if values.get(key) else None for key in ("from", "allowed", "hint"))
        return GaitwayError(str(values["message"]), source=source, allowed=allowed, hint=hint)

    def as_dict(self) -> dict[str, str | int | None]:
        """Return the error as it stands in ``result.json`` and in ``--json`` output."""
        return {
            "message": self.message,
            "from": self.source,
            "allowed": self.allowed,
            "hint": self.hint,
            "exit_code": self.exit_code,
        }


class JobFailed(GaitwayError):
    """The work itself failed: a diverged simulation, an export that disagrees, a crashed trainer."""

    exit_code = 1


class UsageError(GaitwayError):
    """The request cannot be right: an unknown task, a count below one, two flags that exclude each other."""

    exit_code = 2


class ConfigError(GaitwayError):
    """A setting, a credential or an installed part is missing or unusable."""

    exit_code = 3


class PlatformError(GaitwayError):
    """A platform, a service or the network did not do its part."""

    exit_code = 4


class GateFailed(GaitwayError):
    """The policy ran and did not meet its task's criterion."""

    exit_code = 5


class Interrupted(GaitwayError):
    """The user or the platform asked the work to stop; what was done so far is saved."""

    exit_code = 130


LONGEST_SHOWN = 80
"""Most characters of a value that an error shows."""


def shown(value: object) -> str:
    """Return a value as an error shows it: as Python writes it, and not longer than a line has room for."""
    text = repr(value)
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}..."


def unusable_port(port: int, error: Exception) -> UsageError:
    """Return the error for a port of this machine that something else listens on, or that may not be used."""
    reason = getattr(error, "strerror", None) or str(error)
    return UsageError(f"port {port} cannot be used: {reason}", source="--port", hint="--port N for another port")


def nearest(word: str, known: Iterable[str], count: int = 3) -> str | None:
    """Return the known words closest to ``word`` as a phrase (``"a, b or c"``), or None."""
    by_fold = {name.casefold(): name for name in known}
    found = [by_fold[name] for name in difflib.get_close_matches(word.casefold(), by_fold, n=count, cutoff=0.5)]
    if len(found) < 2:
        return found[0] if found else None
    return ", ".join(found[:-1]) + " or " + found[-1]
