"""Help pages: whole words at any width, and one screen of the options that are needed first."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable

import click

NARROW = 76
"""Below this width, explanations begin on a line of their own [characters]."""
OWN_LINE_INDENT = "      "


class HelpFormatter(click.HelpFormatter):
    """click's formatter, without broken words."""

    def write_text(self, text: str) -> None:
        """Write paragraphs."""
        indent = " " * self.current_indent
        paragraphs = [" ".join(part.split()) for part in text.split("\n\n")]
        self.write("\n\n".join("\n".join(_wrap(part, self.width, indent)) for part in paragraphs) + "\n")

    def write_dl(self, rows: Iterable[tuple[str, str]], col_max: int = 38, col_spacing: int = 2) -> None:
        """Write terms with their explanations beside them, or below them where that leaves too little room."""
        found = list(rows)
        indent = " " * self.current_indent
        column = min(max((len(term) for term, _ in found), default=0), col_max) + col_spacing
        if self.width < NARROW:
            column = min(column, 18)
        for term, text in found:
            beside = _wrap(text, self.width, indent + " " * column)
            if len(term) + col_spacing <= column and beside:
                self.write(f"{indent}{term:<{column}}{beside[0].lstrip()}\n")
                beside = beside[1:]
            else:
                self.write(f"{indent}{term}\n")
                beside = beside if self.width >= NARROW else _wrap(text, self.width, indent + OWN_LINE_INDENT)
            self.write("".join(f"{line}\n" for line in beside))

    def write_short(self, rows: Iterable[tuple[str, str]]) -> None:
        """Write each term and its explanation on one line, cut between two words where it is too long."""
        found = list(rows)
        indent = " " * self.current_indent
        column = max((len(term) for term, _ in found), default=0) + 2
        for term, text in found:
            room = max(self.width - len(indent) - column, 8)
            short = textwrap.shorten(text, room, placeholder=" …", break_long_words=False, break_on_hyphens=False)
            self.write(f"{indent}{term:<{column}}{short}".rstrip() + "\n")


class HelpContext(click.Context):
    """click's context, with :class:`HelpFormatter`."""

    formatter_class = HelpFormatter


def _wrap(text: str, width: int, indent: str) -> list[str]:
    return textwrap.wrap(
        text,
        max(width, len(indent) + 20),
        initial_indent=indent,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
