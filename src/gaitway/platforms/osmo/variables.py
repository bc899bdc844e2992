"""Template variables: what each setting is called in a workflow template and after ``--``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from gaitway_runtime.job import Job

from ...settings.fields import Declared


def name_of(item: Declared) -> str:
    """Return the variable of a setting: of a job's its environment variable in lower case, of any other its key."""
    return item.info.env[0].lower() if issubclass(item.cls, Job) and item.info.env else item.key


def names_of(item: Declared) -> set[str]:
    """Return every variable that stands for a setting."""
    flags = {flag[2:].replace("-", "_") for flag in item.info.flags if flag.startswith("--")}
    return {item.key, name_of(item), *flags, *(name.lower() for name in item.info.env)}


def key_of(variable: str, known: Iterable[Declared]) -> str | None:
    """Return the key of the setting that a variable stands for, or None."""
    return next((item.key for item in known if variable in names_of(item)), None)


def text_of(item: Declared, value: Any) -> str:
    """Return a value as a variable's text; nothing at all stands for a value that is not set."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, list | tuple):
        return item.info.separator.join(map(str, value))
    return str(value)
