"""Harmless stand-ins for small classes, of Python's own and of a few libraries, that trainers leave in a checkpoint.

Command-line arguments, settings of OmegaConf, dates, paths and buffers of rewards stand beside the weights of many
files. Each becomes a plain mapping, list or text; nothing is imported and nothing runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any


class PlainSpace(dict[str, Any]):
    """A namespace of arguments or an object's attributes, as a mapping."""

    def __setstate__(self, state: object) -> None:
        if not isinstance(state, dict):
            raise ValueError("a namespace has an unknown state")
        self.update(state)


class PlainSetting:
    """A node of OmegaConf's: settings by name, in a list, or a single value."""

    content: object = None

    def __setstate__(self, state: object) -> None:
        if isinstance(state, dict):
            self.content = state.get("_content", state.get("_val"))

    def plain(self) -> object:
        """Return the settings as plain mappings, lists and values."""
        if isinstance(self.content, dict):
            return {str(key): _plain(value) for key, value in self.content.items()}
        return [_plain(value) for value in self.content] if isinstance(self.content, list) else self.content


def _plain(value: object) -> object:
    return value.plain() if isinstance(value, PlainSetting) else value


def plain_text(*parts: object) -> str:
    """Return a path, a date, an exact number or a range as a text, which nobody reads."""
    return "/".join(str(part) for part in parts)


def plain_list(items: Iterable[object] = (), *_: object) -> list[object]:
    """Return a queue as a list."""
    return list(items)


def plain_mapping(*_: object) -> dict[object, object]:
    """Return an empty mapping, which the pickle then fills."""
    return {}


class PlainType:
    """A type that is named and not made, such as that of a mapping's defaults."""


def stand_ins() -> list[tuple[Callable[..., Any], str]]:
    """Return the stand-ins with the names that pickles call them by."""
    texts = [f"datetime.{name}" for name in ("datetime", "date", "time", "timedelta", "timezone")]
    texts += ["decimal.Decimal", "fractions.Fraction"]
    texts += [f"{module}.{name}" for module in ("builtins", "__builtin__") for name in ("range", "xrange", "slice")]
    texts += [f"{module}.{name}" for module in ("pathlib", "pathlib._local") for name in _PATHS]
    return [
        *((PlainSpace, name) for name in _SPACES),
        *((PlainSetting, f"omegaconf.{name}") for name in _SETTINGS),
        *((plain_text, name) for name in texts),
        *((plain_list, name) for name in ("collections.deque", "builtins.frozenset", "__builtin__.frozenset")),
        (plain_mapping, "collections.defaultdict"),
        *((PlainType, f"{module}.{name}") for module in ("builtins", "__builtin__") for name in _DEFAULTS),
        (PlainType, "typing.Any"),
    ]


_SPACES = (
    "argparse.Namespace",
    "types.SimpleNamespace",
    "uuid.UUID",
    "easydict.EasyDict",
    "rsl_rl.utils.utils.Normalizer",
)
"""Objects whose attributes are kept; the last is AMP's normaliser of motions, in the files of AMP_for_hardware."""
_SETTINGS = (
    "dictconfig.DictConfig",
    "listconfig.ListConfig",
    "base.ContainerMetadata",
    "base.Metadata",
    *(f"nodes.{name}Node" for name in ("Any", "Boolean", "Bytes", "Enum", "Float", "Integer", "Path", "String")),
)


_PATHS = ("PosixPath", "WindowsPath", "PurePosixPath", "PureWindowsPath")
_DEFAULTS = ("float", "int", "list", "dict", "str", "bool")
