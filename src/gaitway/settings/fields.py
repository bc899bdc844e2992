"""What can be set: every declared field under one key, found by key, flag or variable."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from gaitway_runtime.fields import SettingInfo, check_value, parse_value, setting, settings_of

from ..errors import UsageError, nearest
from .values import Secret


@dataclass(frozen=True)
class Declared:
    """One declared setting: its key among all settings, and the field it fills."""

    key: str
    cls: type[Any]
    name: str
    info: SettingInfo
    default: Any

    @property
    def ways(self) -> tuple[str, ...]:
        """How a user can set it, strongest first."""
        outputs = tuple(f"terraform output {path}" for path in self.info.terraform[:1])
        return self.info.flags[:1] + self.info.env + outputs

    def parse(self, raw: Any, source: str) -> Any:
        """Return a raw value in the field's type and within its limits; a secret field's as a :class:`Secret`.

        Raises:
            UsageError: It does not fit. Of a secret the error does not repeat the text.
        """
        if isinstance(raw, Secret) or self.info.secret:
            return raw if raw is None or isinstance(raw, Secret) else Secret(raw)
        if isinstance(raw, str):
            return parse_value(self.cls, self.name, raw, source)
        return check_value(self.cls, self.name, raw, source)


@dataclass(frozen=True, kw_only=True)
class Sources:
    """Where settings are read from."""

    terraform_dir: str = setting(
        "deploy/001-iac",
        "Folder whose Terraform outputs fill what flags and environment leave open.",
        flags="--terraform-dir",
        env="GAITWAY_TERRAFORM_DIR",
        metavar="DIR",
    )


def declared(classes: Sequence[type[Any]]) -> dict[str, Declared]:
    """Return every setting of some classes by its key, in order of declaration.

    A class may name a ``settings_prefix`` that its keys begin with.

    Raises:
        ValueError: Two classes declare the same key.
    """
    found: dict[str, Declared] = {}
    for cls in classes:
        prefix = getattr(cls, "settings_prefix", "")
        for field, info in settings_of(cls):
            key = prefix + field.name
            if key in found:
                raise ValueError(f"setting {key} is declared by {found[key].cls.__name__} and by {cls.__name__}")
            default = field.default if field.default is not dataclasses.MISSING else None
            found[key] = Declared(key, cls, field.name, info, default)
    return found


def find(word: str, known: Iterable[Declared]) -> list[Declared]:
    """Return the settings that a key, a flag or an environment variable names.

    Raises:
        UsageError: There is none; the error names the nearest.
    """
    names: dict[str, list[Declared]] = {}
    for item in known:
        for name in (item.key, *item.info.flags, *item.info.env):
            names.setdefault(name, []).append(item)
    for candidate in (word, word.replace("-", "_"), f"--{word}"):
        if candidate in names:
            return names[candidate]
    close = nearest(word, names)
    raise UsageError(
        f"unknown setting '{word}'", hint=f"did you mean {close}?" if close else "gaitway config lists them all"
    )
