"""Texts generated from the declarations of settings: the tables of ``docs/settings.md``, the API's keyword types."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from gaitway_runtime.spec.job import JOB_KINDS, Job
from gaitway_runtime.spec.run_context import AzureContext
from gaitway_runtime.spec.settings import SettingInfo, field_type, range_text

from .all_settings import ALIASES, SettingEntry, entries
from .platforms.base import PLATFORMS, RunOptions
from .settings.resolve import Declared, Sources, declared
from .settings.values import shown

BEGIN = "<!-- settings: begin (make regenerate writes this part) -->"
END = "<!-- settings: end -->"
PROPER_NAMES = {"osmo": "OSMO", "azureml": "Azure ML"}
"""How a heading writes what a scope names."""
HEADER = ("Setting", "Flag", "Variable", "Terraform output", "Default", "Accepts")


def tables() -> str:
    """Return the Markdown of all settings, a section for each scope."""
    scopes: dict[str, list[SettingEntry]] = {}
    for entry in entries():
        scopes.setdefault(entry.scope, []).append(entry)
    return "\n\n".join("\n".join(_section(scope, found)) for scope, found in scopes.items())


def with_tables(document: str) -> str:
    """Return a document with what stands between its two marks replaced by the tables."""
    before, _, rest = document.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{tables()}\n\n{END}{after}"


def _section(scope: str, found: list[SettingEntry]) -> Iterator[str]:
    title = ", ".join(PROPER_NAMES.get(name, name) for name in scope.split(", "))
    yield f"### {title[:1].upper()}{title[1:]}\n"
    yield f"| {' | '.join(HEADER)} |"
    yield f"|{'---|' * len(HEADER)}"
    for entry in found:
        info = entry.item.info
        cells = (
            f"`{entry.item.key}`<br>{info.help}",
            _code(info.flags),
            _code(entry.item.variables),
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
        return _code(tuple(info.choices)).replace("<br>", ", ")
    return range_text(info) if (info.minimum, info.maximum) != (None, None) else ""


KEYWORDS_HEADER = '''\
"""Keyword arguments of the Python API, generated from the declarations of the settings (``make regenerate``)."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Literal, TypedDict

Path = str | os.PathLike[str]
'''

PATH_WORDS = ("DIR", "FILE", "PATH", "URI")
"""Placeholders of settings that take a path, so that a ``Path`` object will do."""


def keyword_types() -> str:
    """Return the Python source of the keyword types: what all jobs and platforms share, and each job kind's own."""
    shared = declared([Job, AzureContext, RunOptions, Sources])
    for name in PLATFORMS.builtin:
        shared = {**declared([PLATFORMS.get(name).options]), **shared}
    by_alias = {alias: shared[key] for alias, key in ALIASES.items()}
    parts = [KEYWORDS_HEADER, _keywords("SharedKeywords", "TypedDict, total=False", {**shared, **by_alias})]
    for cls in JOB_KINDS.values():
        own = {key: item for key, item in declared([cls]).items() if key not in shared}
        if own:
            parts.append(_keywords(f"{cls.__name__.removesuffix('Job')}Keywords", "SharedKeywords, total=False", own))
    return "\n\n".join(parts)


def _keywords(name: str, bases: str, items: Mapping[str, Declared]) -> str:
    lines = [f"    {key}: {_annotation(item)}\n    {_docstring(item)}" for key, item in items.items()]
    scope = "all jobs" if name == "SharedKeywords" else f"``{name.removesuffix('Keywords').lower()}``"
    return f'class {name}({bases}):\n    """Settings of {scope} by keyword."""\n\n' + "\n".join(lines) + "\n"


def _annotation(item: Declared) -> str:
    """Return the type of a keyword as it is written; a table that other packages extend accepts any text."""
    base, optional, repeatable = field_type(item.cls, item.name)
    choices = item.info.choices
    if isinstance(choices, tuple) and choices:
        text = f"Literal[{', '.join(map(repr, choices))}]".replace("'", '"')
    else:
        text = "Path" if item.info.metavar in PATH_WORDS and base is str else base.__name__
    if repeatable:
        return f"{text} | Sequence[{text}]"
    return f"{text} | None" if optional else text


def _docstring(item: Declared) -> str:
    return f'"""{item.info.help}"""'
