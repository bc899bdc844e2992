"""Settings: their declaration, parsing and checks, and overrides of nested configurations (``--set``).

Standard library only.
"""

from __future__ import annotations

import ast
import contextlib
import dataclasses
import sys
import types
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

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


def setting_of(cls: type[Any], name: str) -> Any:
    """Declare the setting of another dataclass once more: the same default, flag, variable, limits and help."""
    declared = next(field for field in dataclasses.fields(cls) if field.name == name)
    return dataclasses.field(default=declared.default, metadata=declared.metadata)


def is_setting(field: dataclasses.Field[Any]) -> bool:
    """Whether a dataclass field was declared with :func:`setting`."""
    return "setting" in field.metadata


def settings_of(cls: type[Any]) -> Iterator[tuple[dataclasses.Field[Any], SettingInfo]]:
    """Yield each user-settable field of a dataclass with its description."""
    for field in dataclasses.fields(cls):
        if is_setting(field):
            yield field, field.metadata["setting"]


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
