"""The tables of settings in ``docs/settings.md``, written from the declarations.

``python -m gaitway.settings.reference docs/settings.md`` writes them anew.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from gaitway_runtime.fields import SettingInfo, range_text

from .listing import Entry, entries
from .values import shown

BEGIN = "<!-- settings: begin (make docs writes this part) -->"
END = "<!-- settings: end -->"
HEADER = ("Setting", "Flag", "Variable", "Terraform output", "Default", "Accepts")


def tables() -> str:
    """Return the Markdown of all settings, a section for each scope."""
    scopes: dict[str, list[Entry]] = {}
    for entry in entries():
        scopes.setdefault(entry.scope, []).append(entry)
    return "\n\n".join("\n".join(_section(scope, found)) for scope, found in scopes.items())


def with_tables(document: str) -> str:
    """Return a document with what stands between its two marks replaced by the tables."""
    before, _, rest = document.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{tables()}\n\n{END}{after}"


def _section(scope: str, found: list[Entry]) -> Iterator[str]:
    yield f"### {scope[:1].upper()}{scope[1:]}\n"
    yield f"| {' | '.join(HEADER)} |"
    yield f"|{'---|' * len(HEADER)}"
    for entry in found:
        info = entry.item.info
        cells = (
            f"`{entry.item.key}`<br>{info.help}",
            _code(info.flags),
            _code(info.env),
            _code(info.terraform),
            _code((shown(entry.item.default),)),
            _accepts(info),
        )
        escaped = [cell.replace("|", "\\|") for cell in cells]
        yield f"| {' | '.join(escaped)} |"


def _code(words: tuple[str, ...]) -> str:
    return "<br>".join(f"`{word}`" for word in words if word)


def _accepts(info: SettingInfo) -> str:
    if info.choices:
        return _code(info.choices).replace("<br>", ", ")
    return range_text(info) if (info.minimum, info.maximum) != (None, None) else ""


if __name__ == "__main__":
    target = Path(sys.argv[1])
    target.write_text(with_tables(target.read_text(encoding="utf-8")), encoding="utf-8")
