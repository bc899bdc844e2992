"""Tables that other packages add rows to, and calls into code that is not ours and may raise anything.

Standard library only. Everywhere else an ``except`` names what it expects.
"""

from __future__ import annotations

import functools
import importlib
import importlib.metadata
import logging
from collections.abc import Callable, Iterator, Mapping
from types import ModuleType
from typing import Any, Generic, TypeVar

from .errors import ConfigError, UsageError, nearest

R = TypeVar("R")


class ForeignError(Exception):
    """Code that is not ours raised something; the text says what, and the cause is chained."""

    @property
    def cause(self) -> BaseException:
        """What was raised."""
        return self.__cause__ or self


def call_foreign(action: Callable[[], R]) -> R:
    """Call something of somebody else's.

    Raises:
        ForeignError: It raised; the cause is chained. A keyboard interrupt passes as it is.
    """
    try:
        return action()
    except (Exception, SystemExit) as error:
        raise ForeignError(f"{type(error).__name__}: {error}") from error


def import_foreign(name: str) -> ModuleType:
    """Import a module of somebody else's.

    Raises:
        ForeignError: It cannot be imported; the cause is chained.
    """
    return call_foreign(lambda: importlib.import_module(name))


API_VERSION = 1
"""Version of what a plug-in is written against. A plug-in's module names its own in ``GAITWAY_API``, if it likes."""

T = TypeVar("T")

_log = logging.getLogger(__name__)


def imported(reference: str, what: str, kind: type[T]) -> T:
    """Return what a reference ``module:attribute`` stands for.

    Args:
        reference: The reference.
        what: What it stands for, for error texts.
        kind: The type it must have.

    Raises:
        ConfigError: It cannot be imported, or is of another type.
    """
    module_name, _, attribute = reference.partition(":")
    try:
        found = _attribute(import_foreign(module_name), attribute)
    except (ForeignError, AttributeError) as error:
        raise ConfigError(f"the {what} cannot be imported: {error}", source=reference) from error
    if not isinstance(found, kind):
        raise ConfigError(f"the {what} is a {type(found).__name__}, not a {kind.__name__}", source=reference)
    return found


def as_it_is(found: Any) -> Any:
    """Return what a reference leads to, unchanged."""
    return found


class Registry(Generic[T]):
    """Rows by name: built in, from entry points, or registered by a module.

    Args:
        group: Entry-point group, for example ``gaitway.learners``.
        noun: What a row is, for error texts, for example ``learner``.
        builtin: References of the built-in rows by name, in the order in which they are shown.
        make: Turns what a reference leads to into a row; it raises where that cannot be one.
    """

    def __init__(self, group: str, noun: str, builtin: Mapping[str, str], make: Callable[[Any], T] = as_it_is) -> None:
        self.group = group
        self.noun = noun
        self._make = make
        self.builtin = tuple(builtin)
        """Names of the built-in rows."""
        self._rows: dict[str, str | T] = dict(builtin)
        self._loaded: dict[str, T] = {}
        self._plugins: dict[str, str] = {}
        """Distribution that brought a row, by the row's name."""
        self._failed: dict[str, ConfigError] = {}
        """What is wrong with the plug-ins that :meth:`working` has warned of."""
        self._scanned = False

    def register(self, name: str, row: T | str) -> None:
        """Add a row.

        Args:
            name: The row's name; it must be free.
            row: The thing itself, or a reference ``module:attribute`` to it.

        Raises:
            UsageError: The name is taken.
        """
        if name in self._all():
            owner = self._plugins.get(name, "gaitway itself or another module")
            raise UsageError(
                f"{self.noun} '{name}' is registered twice",
                source=f"{self.group}: {name}",
                hint=f"it is registered by {owner}: choose another name",
            )
        self._rows[name] = row

    def names(self) -> tuple[str, ...]:
        """Return the names of all rows, built in first, then plug-ins by name; not those known to be broken."""
        return tuple(name for name in self._all() if name not in self._failed)

    def owner(self, name: str) -> str | None:
        """Return the installed package that brought a row; None for one that is built in or registered."""
        return self._plugins.get(name) if name in self._all() else None

    def __contains__(self, name: object) -> bool:
        # What is built in wins over plug-ins, so that installed packages need not be looked through for it.
        return name in self._rows or name in self._all()

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())

    def get(self, name: str, source: str | None = None) -> T:
        """Return a row, imported if it has not been yet.

        Args:
            name: The row's name.
            source: Where the name came from, for the error.

        Raises:
            UsageError: There is no row of that name; the error names the nearest.
            ConfigError: The plug-in that has it cannot be imported.
        """
        rows = self._rows if name in self._rows else self._all()
        if name not in rows:
            close = nearest(name, rows)
            raise UsageError(
                f"unknown {self.noun} '{name}'",
                source=source,
                allowed=", ".join(self.names()),
                hint=f"did you mean {close}?" if close else None,
            )
        if name in self._failed:
            raise self._failed[name]
        if name not in self._loaded:
            row = rows[name]
            self._loaded[name] = self._import(name, row) if isinstance(row, str) else row
        return self._loaded[name]

    def working(self) -> Iterator[tuple[str, T]]:
        """Yield every row that can be imported; one that cannot is a warning with its name."""
        for name in self.names():
            found = self._get_or_warn(name)
            if found is not None:
                yield name, found

    def _get_or_warn(self, name: str) -> T | None:
        try:
            return self.get(name)
        except ConfigError as error:
            _log.warning("%s%s", error.message, f" ({error.hint})" if error.hint else "")
            self._failed[name] = error
            return None

    def _import(self, name: str, reference: str) -> T:
        module_name, _, attribute = reference.partition(":")
        if name not in self._plugins:
            return self._make(_attribute(importlib.import_module(module_name), attribute))
        try:
            module = import_foreign(module_name)
            wanted = getattr(module, "GAITWAY_API", API_VERSION)
            if wanted != API_VERSION:
                raise self._broken(name, f"it is written for plug-in API {wanted}, this gaitway has {API_VERSION}")
            return call_foreign(lambda: self._make(_attribute(module, attribute)))
        except ForeignError as error:
            raise self._broken(name, str(error)) from error

    def _broken(self, name: str, reason: str) -> ConfigError:
        return ConfigError(
            f"{self.noun} '{name}' of {self._plugins[name]} cannot be used: {reason}",
            source=f"entry point {self.group}: {name}",
            hint=f"upgrade or uninstall {self._plugins[name]}",
        )

    def _all(self) -> dict[str, str | T]:
        if not self._scanned:
            self._scanned = True
            self._scan()
        return self._rows

    def _scan(self) -> None:
        """Add the rows of installed packages; one whose name is taken is a warning, and is left out."""
        for point in sorted(
            (point for point in _entry_points() if point.group == self.group), key=lambda point: point.name
        ):
            owner = point.dist.name if point.dist else "an installed package"
            if point.name in self._rows:
                taken = self._plugins.get(point.name, "gaitway itself")
                if taken != owner:
                    _log.warning(
                        "%s '%s' of %s is left out: %s has one of that name", self.noun, point.name, owner, taken
                    )
                continue
            self._rows[point.name] = point.value
            self._plugins[point.name] = owner


@functools.cache
def _entry_points() -> tuple[importlib.metadata.EntryPoint, ...]:
    """Return the entry points of gaitway's groups: looking through all packages takes as long as a small command."""
    found = (point for package in importlib.metadata.distributions() for point in package.entry_points)
    return tuple(point for point in found if point.group.startswith("gaitway."))


def _attribute(module: ModuleType, attribute: str) -> Any:
    return getattr(module, attribute) if attribute else module
