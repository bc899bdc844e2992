"""A resolved setting: a value that remembers where it came from."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from gaitway_runtime.spec.origins import with_origins
from gaitway_runtime.spec.types import Json, JsonObject

from ..errors import ConfigError, GaitwayError

LAYERS = ("cli", "env", "terraform", "default")
"""Sources in order of precedence. ``gaitway`` itself may fill a default better (``local``: a laptop's scale)."""
DEMO = "demo"
"""Source of what nobody typed and ``gaitway demo`` asks for."""


@dataclass(frozen=True)
class Origin:
    """Where a value came from: a layer, and the flag, variable, output or reason within it."""

    layer: str
    detail: str = ""

    def __str__(self) -> str:
        """Return the origin as it is printed, for example ``env AZURE_RESOURCE_GROUP``."""
        return f"{self.layer} {self.detail}".strip()


class Secret:
    """A text that does not print: no ``str``, ``repr``, format, JSON or pickle of it shows what it is.

    It is no ``str`` on purpose: ``json.dumps`` and ``"".join`` write the characters of a ``str`` subclass
    whatever its methods say. Use :meth:`reveal` at the one place where the text is needed.
    """

    __slots__ = ("__text",)

    def __init__(self, text: str) -> None:
        self.__text = text

    def reveal(self) -> str:
        """Return the text itself."""
        return self.__text

    def __repr__(self) -> str:
        """Return a placeholder."""
        return "Secret(***)"

    def __str__(self) -> str:
        """Return a placeholder."""
        return "***"

    def __format__(self, spec: str) -> str:
        """Return a placeholder, whatever the format."""
        return "***"

    def __bool__(self) -> bool:
        """Whether there is a text at all."""
        return bool(self.__text)

    def __eq__(self, other: object) -> bool:
        """Whether two secrets hold the same text; a plain text never equals a secret."""
        return isinstance(other, Secret) and self.__text == other.__text

    def __hash__(self) -> int:
        """Return a hash that agrees with equality."""
        return hash((Secret, self.__text))

    def __copy__(self) -> Secret:
        """Return the secret itself: it cannot change."""
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Secret:
        """Return the secret itself, so that ``dataclasses.asdict`` keeps it one."""
        return self

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        """Refuse to be pickled."""
        raise TypeError("a secret is not written anywhere")


@dataclass(frozen=True)
class Setting:
    """One setting with its value, its origin and the values it shadowed, strongest first."""

    key: str
    value: Any
    origin: Origin
    shadowed: tuple[tuple[Any, Origin], ...] = ()
    secret: bool = False
    whole: Secret | None = None
    """The whole address, where ``value`` is its public form and something that may be a credential was cut off."""
    ways: tuple[str, ...] = ()
    """How a user can set it: its flag, its variables, its Terraform output."""

    @property
    def shown(self) -> str:
        """The value as it may be printed: a secret only says whether it is set."""
        return shown(self.value, self.secret)

    def with_default(self, value: Any, reason: str, layer: str = "local") -> Setting:
        """Return the setting with a better default for where it is used, unless the user named a value."""
        if self.origin.layer != "default":
            return self
        shadowed = ((self.value, self.origin), *self.shadowed)
        return dataclasses.replace(self, value=value, origin=Origin(layer, reason), shadowed=shadowed)


def shown(value: Any, secret: bool = False) -> str:
    """Return a setting's value as it may be printed."""
    if secret or isinstance(value, Secret):
        return "(set)" if value else "(not set)"
    if isinstance(value, tuple):
        return ", ".join(shown(part) for part in value)
    text = "" if value is None else str(value)
    return text if text.isprintable() else text.encode("unicode_escape").decode("ascii")


@contextlib.contextmanager
def origins_named(settings: Mapping[str, Setting]) -> Iterator[None]:
    """Let an error about a value name the variable or the output that it came from, in place of its flag.

    Args:
        settings: All settings; they may be replaced meanwhile.
    """
    try:
        yield
    except GaitwayError as error:
        named = [setting for setting in settings.values() if setting.origin.layer in ("env", "terraform")]
        origins = {way: str(setting.origin) for setting in named for way in setting.ways if way.startswith("--")}
        error.source = with_origins(error.source, origins) if error.source else None
        raise


def require(settings: Mapping[str, Setting], *keys: str, hint: str | None = None) -> tuple[Any, ...]:
    """Return the values of settings that must be set.

    Args:
        settings: All settings.
        keys: Those that must be set.
        hint: What helps where one is not; ``gaitway config explain KEY`` when omitted, which knows gaitway's own.

    Raises:
        ConfigError: One of them is not; the error names every way to set it.
    """
    missing = [key for key in keys if settings[key].value is None]
    if missing:
        raise ConfigError(
            f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} not set",
            allowed="; ".join(f"{key}: {', '.join(settings[key].ways)}" for key in missing),
            hint=hint or f"gaitway config explain {missing[0]}",
        )
    return tuple(settings[key].value for key in keys)


@dataclass(frozen=True)
class RecordedSetting:
    """A setting as ``settings.json`` holds it."""

    value: Json
    origin: str


def recorded(document: JsonObject | None) -> dict[str, RecordedSetting]:
    """Return the settings of a ``settings.json`` document; an entry that is none is left out."""
    return {
        key: RecordedSetting(entry.get("value"), str(entry["origin"]))
        for key, entry in (document or {}).items()
        if isinstance(entry, Mapping) and "origin" in entry
    }


def document(settings: Mapping[str, Setting]) -> dict[str, JsonObject]:
    """Return the settings as they stand in ``settings.json``; of a secret only whether it is set."""
    return {
        key: {
            "value": plain(setting.value, setting.secret),
            "origin": str(setting.origin),
            "shadowed": [
                {"value": plain(value, setting.secret), "origin": str(origin)} for value, origin in setting.shadowed
            ],
        }
        for key, setting in settings.items()
    }


def plain(value: Any, secret: bool = False) -> Any:
    """Return a setting's value as it may stand in a JSON document."""
    if secret or isinstance(value, Secret):
        return shown(value, secret=True)
    if isinstance(value, tuple):
        return [plain(part) for part in value]
    return value if isinstance(value, bool | int | float | None) else shown(value)
