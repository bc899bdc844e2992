"""Base class of the verbs, the options they share, and the group that imports a verb when it is used."""

from __future__ import annotations

import importlib
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import click
from click.core import ParameterSource
from click.shell_completion import CompletionItem
from gaitway_runtime.spec.settings import field_type

from ..errors import UsageError, nearest
from ..settings.resolve import Declared, declared
from .help import HelpContext, HelpFormatter
from .verbs import VERBS, registry

CONTEXT_SETTINGS: dict[str, list[str] | int] = {"help_option_names": ["-h", "--help"], "max_content_width": 110}

EXIT_CODES = (
    "Exit codes: 0 done, 1 the job failed, 2 usage, 3 configuration or credentials, 4 platform or network, "
    "5 validation gate failed, 130 interrupted."
)
HELP_ALL = "gaitway.help_all"
"""Key of the click context that is set where all options are to be shown."""
PLUGIN_SECTION = "Installed packages"
"""Section of ``gaitway --help`` for the verbs that other packages bring."""


class VerbCommand(click.Command):
    """A verb: its options are grouped by section, and its help begins with the verb's sentence in the table.

    Args:
        name: The verb.
        brief: Whether ``--help`` shows one screen of what is needed first, and ``--help-all`` everything.
        attrs: Arguments of a click command.
    """

    context_class = HelpContext

    def __init__(self, name: str, *, brief: bool = False, **attrs: Any) -> None:
        attrs.setdefault("context_settings", CONTEXT_SETTINGS)
        if name in VERBS:
            summary = VERBS[name].summary
            attrs["help"] = f"{summary}\n\n{attrs['help']}" if attrs.get("help") else summary
        super().__init__(name, **attrs)
        self.params.append(debug_option())
        self.brief = brief
        if brief:
            self.params.append(_help_all_option())

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the arguments; an error knows which verb it is about."""
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as error:
            error.ctx = error.ctx or ctx
            raise

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options, a section at a time: all, or those that are needed first, on one line each."""
        short = self.brief and not ctx.meta.get(HELP_ALL)
        shown = [param for param in self.get_params(ctx) if not short or self.is_needed_first(ctx, param)]
        sections: dict[str, list[tuple[str, str]]] = {}
        for param in shown:
            record = _short_record(param, ctx) if short else param.get_help_record(ctx)
            if record and isinstance(param, click.Option):
                sections.setdefault(getattr(param, "section", "Output"), []).append(record)
        for name in sorted(sections, key=section_order):
            with formatter.section(name):
                if short and isinstance(formatter, HelpFormatter):
                    formatter.write_short(sections[name])
                else:
                    formatter.write_dl(sections[name], col_max=38)
        hidden = len(self.get_params(ctx)) - len(shown)
        if hidden:
            formatter.write_paragraph()
            formatter.write_text(f"{hidden} more options, variables and defaults: {ctx.command_path} --help-all")

    def is_needed_first(self, ctx: click.Context, param: click.Parameter) -> bool:
        """Whether a parameter is among those that the one screen of ``--help`` shows."""
        return not isinstance(param, SettingOption)


class VerbGroup(click.Group):
    """A verb with verbs of its own; its help begins with its sentence in the table."""

    context_class = HelpContext

    def __init__(self, name: str, *, help: str = "") -> None:
        summary = VERBS[name].summary
        super().__init__(name, help=f"{summary}\n\n{help}" if help else summary, context_settings=CONTEXT_SETTINGS)
        self.params.append(debug_option())


class LazyGroup(click.Group):
    """The verbs of :data:`~gaitway.cli.verbs.VERBS` and of installed packages, each imported when it is used."""

    context_class = HelpContext

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the verbs in the order of the table, then those of installed packages."""
        return list(registry())

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a verb.

        Raises:
            UsageError: There is none of that name; the error names the nearest.
            ConfigError: It belongs to an installed package that cannot be imported.
        """
        if cmd_name in VERBS:
            module, _, attribute = VERBS[cmd_name].command.partition(":")
            found: click.Command = getattr(importlib.import_module(module), attribute)
            return found
        rows = registry()
        if cmd_name in rows:
            return rows.get(cmd_name)
        close = nearest(cmd_name, rows)
        raise UsageError(
            f"unknown command '{cmd_name}'",
            allowed=", ".join(rows),
            hint=f"did you mean {close}?" if close else "gaitway --help",
        )

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the verbs, a section at a time, without importing any."""
        rows = registry()
        sections: dict[str, list[tuple[str, str]]] = {}
        for name in rows:
            section, summary = VERBS[name][:2] if name in VERBS else (PLUGIN_SECTION, f"Command of {rows.owner(name)}.")
            sections.setdefault(section, []).append((name, summary))
        for section, lines in sections.items():
            with formatter.section(section):
                formatter.write_dl(lines)


def _short_record(param: click.Parameter, ctx: click.Context) -> tuple[str, str] | None:
    """Return the one line of an option: without its longer names, variables and limits."""
    if isinstance(param, SettingOption):
        return param.short_record()
    return param.get_help_record(ctx)


def _help_all_option() -> SectionOption:
    def show(ctx: click.Context, param: click.Parameter, value: bool) -> None:
        if value:
            ctx.meta[HELP_ALL] = True
            click.echo(ctx.get_help())
            ctx.exit()

    return SectionOption(
        ["--help-all"], is_flag=True, is_eager=True, expose_value=False, callback=show, help="Show every option."
    )


def debug_option() -> SectionOption:
    """Return ``--debug``, which every verb takes; the edge of the program looks for it itself."""
    return SectionOption(
        ["--debug"], is_flag=True, expose_value=False, help="Show the traceback of an error.", section="Output"
    )


def json_option() -> SectionOption:
    """Return ``--json``."""
    return SectionOption(
        ["as_json", "--json"],
        is_flag=True,
        help="Print the answer as one JSON document on standard output.",
        section="Output",
    )


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

PATHS_HERE = ("training_path", "with_paths", "terraform_dir", "contract", "python", "workflow_file")
"""Settings that are paths on this machine."""

NEEDED_FIRST = {
    "task",
    "num_envs",
    "max_iterations",
    "seed",
    "simulator",
    "backend",
    "gate",
    "checkpoint_uri",
    "checkpoint_mode",
    "register_checkpoint",
    "model_name",
    "model_version",
    "episodes",
    "formats",
    "max_steps",
    "video_length",
    "platform",
    "run_name",
    "with_paths",
    "num_nodes",
    "num_gpus",
    "imports",
    "overrides",
}
"""Settings that the one screen of ``--help`` shows, beside those of the platform at hand."""

NEEDED_ON: Mapping[str, tuple[str, ...]] = {
    "local": ("python",),
    "osmo": ("image", "tracking_uri", "pool", "payload", "storage_uri", "accept_loss"),
    "azureml": ("image", "compute", "instance_type", "experiment"),
}
"""Settings of a platform that the one screen of ``--help`` shows; of any other platform it shows all."""

ORDER = ("Core", "Sweep", "Checkpoints", "Platform", "Azure", "Advanced", "Output")
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
        self.shown_default: str | None = None
        """Default that a verb has of its own, for its help."""

    def get_help_record(self, ctx: click.Context) -> tuple[str, str]:
        """Return the option's line of ``--help``."""
        longs = [flag for flag in self.opts if flag.startswith("--")]
        names = [flag for flag in self.opts if not flag.startswith("--")]
        names += [f"--[no-]{flag[2:]}" if self.is_switch else flag for flag in longs]
        return ", ".join(names) + self._placeholder(), self._explained()

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Return the values that begin with what is typed."""
        from .completion import complete_setting, matching

        if self.item.info.choices:
            return matching(self.item.info.choices, incomplete)
        return complete_setting(self.item.key, incomplete, ctx.params)

    def short_record(self) -> tuple[str, str]:
        """Return the option's line on the one screen of ``--help``."""
        longs = [flag for flag in self.opts if flag.startswith("--")][:1]
        names = [flag for flag in self.opts if not flag.startswith("--")] + longs
        default = self.item.default
        note = f" [{_word(default)}]" if default not in (None, (), False) else ""
        first = re.split(r"[.;] ", self.item.info.help, maxsplit=1)[0].rstrip(".")
        placeholder = "" if self.is_switch else f" {self._short_placeholder()}"
        return ", ".join(names) + placeholder, first + note

    def _short_placeholder(self) -> str:
        choices = "|".join(self.item.info.choices)
        return self.item.info.metavar or (choices if 0 < len(choices) < 24 else self.item.name.upper())

    def _placeholder(self) -> str:
        if self.is_switch:
            return ""
        return " " + (self.item.info.metavar or "|".join(self.item.info.choices) or self.item.name.upper())

    def _explained(self) -> str:
        info, default = self.item.info, self.item.default
        notes = []
        if self.shown_default or (default not in (None, ()) and not (self.is_switch and default is False)):
            notes.append(f"default: {self.shown_default or _word(default)}")
        if info.choices and info.metavar:
            notes.append(f"one of: {', '.join(info.choices)}")
        notes.append(f"env: {self.item.variables[0]}")
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
    """Return the settings that were typed, and nothing else, as the resolver takes them.

    A shell leaves ``~`` alone in ``--with=~/tasks``; it is expanded here.
    """
    return {
        param.item.key: _expanded(param.item.key, ctx.params[param.item.key])
        for param in ctx.command.params
        if isinstance(param, SettingOption) and ctx.get_parameter_source(param.item.key) is ParameterSource.COMMANDLINE
    }


def _expanded(key: str, value: Any) -> Any:
    if key not in PATHS_HERE:
        return value
    return os.path.expanduser(value) if isinstance(value, str) else tuple(map(os.path.expanduser, value))


def _switch(flag: str) -> str:
    return f"{flag}/--no-{flag[2:]}"


def _word(value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return str(value)
