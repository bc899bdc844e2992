"""What every verb is made of: a click command with sections in its help, ``--debug``, and lazy loading."""

from __future__ import annotations

import importlib
from typing import Any

import click

from ..errors import UsageError, nearest
from .options import SectionOption, section_order
from .table import VERBS

CONTEXT_SETTINGS: dict[str, Any] = {"help_option_names": ["-h", "--help"], "max_content_width": 110}

EXIT_CODES = (
    "Exit codes: 0 done, 1 the job failed, 2 usage, 3 configuration or credentials, 4 platform or network, "
    "5 validation gate failed, 130 interrupted."
)


class VerbCommand(click.Command):
    """A verb: its options are grouped by section, and its help begins with the verb's sentence in the table."""

    def __init__(self, name: str, **attrs: Any) -> None:
        attrs.setdefault("context_settings", CONTEXT_SETTINGS)
        summary = VERBS[name].summary
        attrs["help"] = f"{summary}\n\n{attrs['help']}" if attrs.get("help") else summary
        super().__init__(name, **attrs)
        self.params.append(debug_option())

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the arguments; an error knows which verb it is about."""
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as error:
            error.ctx = error.ctx or ctx
            raise

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options, a section at a time."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx)
            if record and isinstance(param, click.Option):
                sections.setdefault(getattr(param, "section", "Output"), []).append(record)
        for name in sorted(sections, key=section_order):
            with formatter.section(name):
                formatter.write_dl(sections[name], col_max=38)


class LazyGroup(click.Group):
    """The verbs of :data:`~gaitway.cli.table.VERBS`; a verb's module is imported when the verb is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the verbs in the order of the table."""
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a verb.

        Raises:
            UsageError: There is none of that name; the error names the nearest.
        """
        if cmd_name not in VERBS:
            close = nearest(cmd_name, VERBS)
            raise UsageError(
                f"unknown command '{cmd_name}'",
                allowed=", ".join(VERBS),
                hint=f"did you mean {close}?" if close else "gaitway --help",
            )
        command: click.Command = importlib.import_module(f"gaitway.cli.{cmd_name.replace('-', '_')}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the verbs, a section at a time, without importing any."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for name, verb in VERBS.items():
            sections.setdefault(verb.section, []).append((name, verb.summary))
        for section, rows in sections.items():
            with formatter.section(section):
                formatter.write_dl(rows)


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
