"""Settings: their declaration, parsing and checks. Standard library only."""

from __future__ import annotations

import dataclasses
import sys
import typing
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from .errors import UsageError, nearest, shown
from .secrets import public_form


class Choices(Protocol):
    """The only accepted values of a setting, in the order in which they are shown: a tuple, or a table that grows."""

    def __iter__(self) -> Iterator[str]: ...

    def __contains__(self, value: object, /) -> bool: ...


@dataclass(frozen=True)
class SettingInfo:
    """How one setting is named, limited and explained."""

    text: str | Callable[[], str]
    """See :attr:`help`."""
    flags: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    terraform: tuple[str, ...] = ()
    choices: Choices = ()
    minimum: float | None = None
    maximum: float | None = None
    secret: bool = False
    address: bool = False
    metavar: str | None = None
    separator: str = ","
    container_only: bool = False
    """Whether the variables are read in containers alone; outside they may just happen to exist."""

    @property
    def help(self) -> str:
        """One sentence on the setting."""
        return self.text if isinstance(self.text, str) else self.text()


def setting(
    default: Any,
    help: str | Callable[[], str],
    *,
    flags: str | tuple[str, ...] = (),
    env: str | tuple[str, ...] = (),
    terraform: str | tuple[str, ...] = (),
    choices: Choices = (),
    minimum: float | None = None,
    maximum: float | None = None,
    secret: bool = False,
    address: bool = False,
    metavar: str | None = None,
    separator: str = ",",
    container_only: bool = False,
) -> Any:
    """Declare a dataclass field that a user can set.

    Args:
        default: Value when no source names one.
        help: One sentence for ``--help`` and ``gaitway config``, or a function that makes it when it is shown.
        flags: Command-line names, longest first; empty for a field that has no flag.
        env: Environment variables in order of preference.
        terraform: Dotted paths into ``terraform output -json`` in order of preference, for example
            ``resource_group.value.name``. A ``/part`` at the end takes that part of an Azure resource id:
            ``aks_cluster.value.id/subscriptions``.
        choices: The only accepted values.
        minimum: Smallest accepted number.
        maximum: Largest accepted number.
        secret: Whether the value must never be printed.
        address: Whether the value is a URI, whose query or user may hold a credential.
        metavar: Placeholder in help texts.
        separator: What stands between the values of a repeatable setting in one text (an environment variable).
        container_only: Whether the variables are read in containers alone. Outside, a setting's own variable is
            ``GAITWAY_`` and its key in capitals.
    """
    info = SettingInfo(
        text=help,
        flags=(flags,) if isinstance(flags, str) else flags,
        env=(env,) if isinstance(env, str) else env,
        terraform=(terraform,) if isinstance(terraform, str) else terraform,
        choices=choices,
        minimum=minimum,
        maximum=maximum,
        secret=secret,
        address=address,
        metavar=metavar,
        separator=separator,
        container_only=container_only,
    )
    return dataclasses.field(default=default, metadata={"setting": info})


def setting_of(cls: type[Any], name: str, *, default: Any = dataclasses.MISSING) -> Any:
    """Declare the setting of another dataclass once more: the same flag, variable, limits and help.

    Args:
        cls: The dataclass that declares it.
        name: Its name there.
        default: Value when no source names one; that of the other dataclass when omitted.
    """
    declared = next(field for field in dataclasses.fields(cls) if field.name == name)
    same = default is dataclasses.MISSING
    return dataclasses.field(default=declared.default if same else default, metadata=declared.metadata)


def is_setting(field: dataclasses.Field[Any]) -> bool:
    """Whether a dataclass field was declared with :func:`setting`."""
    return "setting" in field.metadata


def settings_of(cls: type[Any]) -> Iterator[tuple[dataclasses.Field[Any], SettingInfo]]:
    """Yield each user-settable field of a dataclass with its description."""
    for field in dataclasses.fields(cls):
        if is_setting(field):
            yield field, field.metadata["setting"]


def flag_words(flag: str, value: object) -> Iterator[str]:
    """Yield the words of a command line that give a setting a value."""
    if isinstance(value, bool):
        yield flag if value else f"--no-{flag.removeprefix('--')}"
        return
    for item in value if isinstance(value, list | tuple) else (value,):
        yield from (flag, str(item))


def words_of(values: object, without: Collection[str] = ()) -> Iterator[str]:
    """Yield the words of a command line that ask for what differs from the defaults in a dataclass of settings.

    Args:
        values: The dataclass.
        without: Names of fields to leave out.
    """
    for field, info in settings_of(type(values)):
        value = getattr(values, field.name)
        if info.flags and field.name not in without and value is not None and value != field.default:
            yield from flag_words(info.flags[0], value)


def field_type(cls: type[Any], name: str) -> tuple[type, bool, bool]:
    """Return ``(base type, optional, repeatable)`` of a field, for example ``(int, True, False)``."""
    hint = _hints_of(cls)[name]
    if typing.get_origin(hint) is tuple:
        return typing.get_args(hint)[0], False, True
    arms = [arm for arm in typing.get_args(hint) if arm is not type(None)]
    return (arms[0], True, False) if arms else (hint, False, False)


def _hints_of(cls: type[Any]) -> dict[str, Any]:
    """Return the types of a class's fields; working them out from their texts takes a while."""
    if cls not in _HINTS:
        _HINTS[cls] = typing.get_type_hints(cls)
    return _HINTS[cls]


_HINTS: dict[type[Any], dict[str, Any]] = {}
"""Types of the fields of classes that were asked for."""


def parse_value(cls: type[Any], name: str, text: str, source: str) -> Any:
    """Turn the text of a flag, a variable or a template into the field's type, checked against its limits.

    Args:
        cls: Dataclass that declares the field.
        name: Field name.
        text: What the user wrote. Of an optional or repeatable field an empty text or ``none`` stands for "not set".
        source: Where the text came from, for the error.

    Raises:
        UsageError: The text is not of the field's type or outside its limits.
    """
    base, optional, repeatable = field_type(cls, name)
    if repeatable and text.strip().lower() == "none":
        return ()
    if repeatable:
        separator = {field.name: info for field, info in settings_of(cls)}[name].separator
        return tuple(part.strip() for part in text.split(separator) if part.strip())
    if optional and text.strip().lower() in ("", "none"):
        return None
    if base is bool:
        value: Any = _parse_bool(name, text, source)
    elif base in (int, float):
        value = _parse_number(base, name, text, source)
    else:
        value = text
    return check_value(cls, name, value, source)


def check_value(cls: type[Any], name: str, value: Any, source: str) -> Any:
    """Return ``value`` if it is of the field's type and within its declared limits.

    Raises:
        UsageError: It is not; the error says what is allowed.
    """
    info = {field.name: info for field, info in settings_of(cls)}[name]
    label = name.replace("_", " ")
    base, optional, repeatable = field_type(cls, name)
    if value is None and optional:
        return None
    if repeatable and not isinstance(value, tuple):
        raise UsageError(f"{label} is not a sequence: {shown(value)}", source=source)
    for part in value if repeatable else (value,):
        if not isinstance(part, _ACCEPTED[base]) or (isinstance(part, bool) and base is not bool):
            raise UsageError(f"{label} is not {_KINDS[base]}: {shown(part)}", source=source)
    if info.choices and value not in info.choices:
        close = nearest(str(value), info.choices, 1)
        raise UsageError(
            f"unknown {label} {shown(value)}",
            source=source,
            allowed=", ".join(info.choices),
            hint=f"did you mean {close}?" if close else None,
        )
    if base is float and not abs(value) <= sys.float_info.max:
        raise UsageError(f"{label} is not a finite number: {shown(value)}", source=source)
    if (info.minimum is not None and value < info.minimum) or (info.maximum is not None and value > info.maximum):
        raise UsageError(f"{label} is out of range: {shown(value)}", source=source, allowed=range_text(info))
    if isinstance(value, str) and "\x00" in value:
        raise UsageError(f"{label} contains a NUL character", source=source)
    return value


def values_from_environment(cls: type[Any], environ: Mapping[str, str]) -> dict[str, Any]:
    """Return the fields of ``cls`` that the environment sets, parsed and checked; addresses in their public form."""
    values: dict[str, object] = {}
    for field, info in settings_of(cls):
        for variable in info.env:
            text = environ.get(variable, "")
            if text.strip():
                value = parse_value(cls, field.name, text, f"env {variable}")
                values[field.name] = public_form(value) if info.address and value else value
                break
    return values


_ACCEPTED: dict[type, tuple[type, ...]] = {bool: (bool,), int: (int,), float: (int, float), str: (str,)}
_KINDS = {bool: "a yes or a no", int: "a whole number", float: "a number", str: "a text"}


def yes_or_no(text: str) -> bool | None:
    """Return the boolean that a word stands for, or None for any other word."""
    words = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}
    return words.get(text.strip().lower())


def _parse_bool(name: str, text: str, source: str) -> bool:
    value = yes_or_no(text) if text.strip() else False
    if value is not None:
        return value
    raise UsageError(
        f"{name.replace('_', ' ')} is not {_KINDS[bool]}: '{text}'", source=source, allowed="1, 0, true, false"
    )


def _parse_number(base: type, name: str, text: str, source: str) -> Any:
    try:
        return base(text.strip())
    except ValueError:
        raise UsageError(f"{name.replace('_', ' ')} is not {_KINDS[base]}: '{text}'", source=source) from None


def range_text(info: SettingInfo) -> str:
    """Return the limits of a number as a phrase; one of them must be there."""
    if info.minimum is not None and info.maximum is not None:
        return f"{info.minimum:g} to {info.maximum:g}" if info.maximum < 1e6 else f"{info.minimum:g} or more"
    return f"{info.minimum:g} or more" if info.minimum is not None else f"at most {info.maximum:g}"
