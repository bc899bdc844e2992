"""Layout of text for a terminal of some width: no word is broken. Pure."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Sequence

GAP = "  "
"""Space between two columns."""
INDENT = "    "
"""Indentation of the lines that continue a row or a command."""
LEAST_CELL = 16
"""Least width to which a column of several words is narrowed [characters]."""
LEAST_WIDTH = 20
"""Narrower terminals are treated as one of this width [characters]."""

Row = Sequence[str]
Line = tuple[str, bool]
"""A line of a table, and whether it belongs to the header."""


def table_lines(header: Row, rows: Sequence[Row], width: int | None) -> Iterator[Line]:
    """Yield a table's lines.

    A row takes one line where it fits; else cells of several words are wrapped; else the columns are split into
    groups, one below the other.

    Args:
        header: Names of the columns.
        rows: Cells of each row.
        width: Width of the terminal [characters]; None: as wide as it gets.
    """
    cells = [tuple(header), *map(tuple, rows)]
    longest = [max(len(row[column]) for row in cells) for column in range(len(header))]
    if width is None or _total(longest) <= width:
        yield from _aligned(cells, longest)
        return
    width = max(width, LEAST_WIDTH)
    narrowed = _narrowed(cells, longest, width)
    if narrowed:
        yield from _aligned(cells, narrowed)
        return
    yield from _stacked(cells, longest, width)


def wrapped(line: str, width: int) -> list[str]:
    """Return a line of text as lines of at most a width, continued below where its last column begins."""
    width = max(width, LEAST_WIDTH)
    if len(line) <= width:
        return [line]
    hang = _hang(line, width)
    return textwrap.wrap(
        line,
        width,
        subsequent_indent=" " * hang,
        break_long_words=False,
        break_on_hyphens=False,
        replace_whitespace=False,
        drop_whitespace=True,
    )


def command_lines(label: str, words: Sequence[str], width: int | None) -> list[str]:
    """Return a command to paste as lines: broken between words, each broken line ending with a backslash.

    Args:
        label: Text before the command.
        words: The command's words, quoted for a shell.
        width: Width of the terminal [characters]; None: one line.
    """
    whole = f"{label} {' '.join(words)}"
    if width is None or len(whole) <= width:
        return [whole]
    lines, current = [], label
    for word in words:
        if len(current) + 1 + len(word) > width - 2 and current.strip() != label:
            lines.append(f"{current} \\")
            current = INDENT + word
        else:
            current = f"{current} {word}"
    return [*lines, current]


def _total(widths: Sequence[int]) -> int:
    return sum(widths) + len(GAP) * (len(widths) - 1)


def _aligned(cells: Sequence[Row], widths: Sequence[int], indent: str = "") -> Iterator[Line]:
    """Yield rows in columns of given widths; a cell that is longer takes several lines."""
    for number, row in enumerate(cells):
        parts = [_cell(cell, width) for cell, width in zip(row, widths, strict=True)]
        for line in range(max(map(len, parts))):
            texts = [part[line] if line < len(part) else "" for part in parts]
            joined = GAP.join(text.ljust(width) for text, width in zip(texts, widths, strict=True))
            yield (indent + joined).rstrip(), number == 0


def _cell(text: str, width: int) -> list[str]:
    if len(text) <= width:
        return [text]
    return textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False) or [""]


def _narrowed(cells: Sequence[Row], longest: Sequence[int], width: int) -> list[int] | None:
    """Return widths that fit, with the widest columns of several words wrapped; None where that is not enough."""
    least = [
        min(widest, max(LEAST_CELL, *(len(word) for row in cells for word in (row[column].split() or [""]))))
        for column, widest in enumerate(longest)
    ]
    if _total(least) > width:
        return None
    widths = list(longest)
    while (excess := _total(widths) - width) > 0:
        column = max(range(len(widths)), key=lambda number: widths[number] - least[number])
        widths[column] -= min(excess, max(1, (widths[column] - least[column]) // 2))
    return widths


def _stacked(cells: Sequence[Row], longest: Sequence[int], width: int) -> Iterator[Line]:
    """Yield each row as several lines, its columns split into groups that fit."""
    groups: list[list[int]] = [[]]
    for column, widest in enumerate(longest):
        room = width if len(groups) == 1 else width - len(INDENT)
        if groups[-1] and _total([longest[number] for number in groups[-1]] + [widest]) > room:
            groups.append([])
        groups[-1].append(column)
    blocks = []
    for number, group in enumerate(groups):
        indent = INDENT if number else ""
        widths = [min(longest[column], width - len(indent)) for column in group]
        blocks.append([list(_aligned([[row[c] for c in group]], widths, indent)) for row in cells])
    for number in range(len(cells)):
        for block in blocks:
            yield from ((text, number == 0) for text, _ in block[number] if text)


def _hang(line: str, width: int) -> int:
    """Return where the continuation of a line begins: below its last column, if that leaves enough room."""
    indent = len(line) - len(line.lstrip())
    columns = [found.end() for found in re.finditer(r"\S {2,}(?=\S)", line) if found.end() <= width * 0.55]
    return columns[-1] if columns else min(indent + 2, width // 2)
