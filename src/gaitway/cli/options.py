"""Command-line options, generated from the ``setting()`` declarations."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import click
from click.core import ParameterSource
from gaitway_runtime.fields import field_type

from ..settings.fields import Declared, declared

SECTIONS: Mapping[str, tuple[str, ...]] = {
    "Checkpoints": (
        "checkpoint_uri",
        "checkpoint_mode",
        "checkpoint_sha256",
        "register_checkpoint",
        "skip_register_checkpoint",
        "save_interval",
        "model_name",
        "model_version",
    ),
    "Platform": ("num_nodes", "num_gpus"),
    "Advanced": (
        "run_smoke_test",
        "sleep_after_unpack",
        "imports",
        "overrides",
        "activation",
        "contract",
        "terraform_dir",
    ),
}
"""Sections of ``--help`` for settings that do not stand in the section of their class."""

ORDER = ("Core", "Checkpoints", "Platform", "Azure", "Advanced", "Output")
"""Sections in the order of ``--help``; those of single platforms come behind ``Platform``."""


def section_order(section: str) -> int:
    """Return a key that sorts sections."""
    return ORDER.index(section if section in ORDER else "Platform")


class SectionOption(click.Option):
    """An option that knows its section of ``--help``."""

    def __init__(self, *args: Any, section: str = "Output", **attrs: Any) -> None:
        super().__init__(*args, **attrs)
        self.section = section


class SettingOption(SectionOption):
    """A flag of one declared setting. It hands on the text as typed: the resolver parses and checks it."""

    def __init__(self, item: Declared, section: str, taken: Iterable[str] = ()) -> None:
        base, _, repeatable = field_type(item.cls, item.name)
        flags = [flag for flag in item.info.flags if flag not in taken]
        options: dict[str, Any] = {"type": click.UNPROCESSED, "default": None, "multiple": repeatable}
        if base is bool:
            options = {"default": None}
            flags = [_switch(flag) if flag.startswith("--") else flag for flag in flags]
        super().__init__([item.key, *flags], section=section, **options)
        self.item = item
        self.is_switch = base is bool

    def get_help_record(self, ctx: click.Context) -> tuple[str, str]:
        """Return the option's line of ``--help``."""
        longs = [flag for flag in self.opts if flag.startswith("--")]
        names = [flag for flag in self.opts if not flag.startswith("--")]
        names += [f"--[no-]{flag[2:]}" if self.is_switch else flag for flag in longs]
        return ", ".join(names) + self._placeholder(), self._explained()

    def _placeholder(self) -> str:
        if self.is_switch:
            return ""
        return " " + (self.item.info.metavar or "|".join(self.item.info.choices) or self.item.name.upper())

    def _explained(self) -> str:
        info, default = self.item.info, self.item.default
        notes = []
        if default not in (None, ()) and not (self.is_switch and default is False):
            notes.append(f"default: {_word(default)}")
        if info.choices and info.metavar:
            notes.append(f"one of: {', '.join(info.choices)}")
        if info.env:
            notes.append(f"env: {info.env[0]}")
        return f"{info.help}  [{'; '.join(notes)}]" if notes else info.help


def setting_options(sections: Mapping[str, Sequence[type[Any]]]) -> list[SettingOption]:
    """Return the options of some classes' settings.

    Args:
        sections: Classes by the section of ``--help`` that their settings stand in unless :data:`SECTIONS` says
            otherwise. A setting that several platforms share is one option; a short flag belongs to whoever
            declares it first.
    """
    special = {key: section for section, keys in SECTIONS.items() for key in keys}
    found: dict[str, SettingOption] = {}
    taken: set[str] = set()
    for section, classes in sections.items():
        for cls in classes:
            for key, item in declared([cls]).items():
                if item.info.flags and key not in found:
                    found[key] = SettingOption(item, special.get(key, section), taken)
                    taken.update(found[key].opts)
    return list(found.values())


def typed(ctx: click.Context) -> dict[str, Any]:
    """Return the settings that were typed, and nothing else, as the resolver takes them."""
    return {
        param.item.key: ctx.params[param.item.key]
        for param in ctx.command.params
        if isinstance(param, SettingOption) and ctx.get_parameter_source(param.item.key) is ParameterSource.COMMANDLINE
    }


def _switch(flag: str) -> str:
    return f"{flag}/--no-{flag[2:]}"


def _word(value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return str(value)
