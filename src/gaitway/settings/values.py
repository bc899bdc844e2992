"""A resolved setting: a value that remembers where it came from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

LAYERS = ("cli", "env", "terraform", "default")
"""Sources in order of precedence. ``gaitway`` itself may fill a default better (``local``: a laptop's scale)."""


@dataclass(frozen=True)
class Origin:
    """Where a value came from: a layer, and the flag, variable, output or reason within it."""

    layer: str
    detail: str = ""

    def __str__(self) -> str:
        """Return the origin as it is printed, for example ``env AZURE_RESOURCE_GROUP``."""
        return f"{self.layer} {self.detail}".strip()


@dataclass(frozen=True)
class Setting:
    """One setting with its value, its origin and the values it shadowed, strongest first."""

    key: str
    value: Any
    origin: Origin
    shadowed: tuple[tuple[Any, Origin], ...] = ()
    secret: bool = False

    @property
    def shown(self) -> str:
        """The value as it may be printed: a secret only says whether it is set."""
        if self.secret:
            return "(set)" if self.value else "(not set)"
        return "" if self.value is None else str(self.value)


class Secret(str):
    """A text that does not print: its ``repr``, ``str`` and formatted forms are a placeholder.

    Use :meth:`reveal` at the one place where the text is needed.
    """

    def __repr__(self) -> str:
        """Return a placeholder."""
        return "Secret(***)"

    def __str__(self) -> str:
        """Return a placeholder."""
        return "***"

    def __format__(self, spec: str) -> str:
        """Return a placeholder, whatever the format."""
        return "***"

    def reveal(self) -> str:
        """Return the text itself."""
        return str.__str__(self)
