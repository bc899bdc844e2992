"""How OSMO reads a workflow file: top-level sections, defaults, Jinja in a sandbox, special tokens kept."""

from __future__ import annotations

import contextlib
import re
import secrets
from collections.abc import Mapping, Sequence
from typing import Any

import jinja2
import jinja2.sandbox
import yaml

from .errors import OsmoError

TEMPLATE_MARKS = ("{%", "{{", "{#", "default-values")
TOKENS = re.compile(r"\{\{(?:output|uuid|workflow_id|input:[A-Za-z0-9_.:-]+|host:[A-Za-z0-9_-]+)\}\}")
"""Exact spellings, without spaces, that rendering leaves for later."""

RENDER_LIMIT = 16_000_000
"""Characters that Jinja no longer renders within OSMO's half second."""

_SECTION = re.compile(
    r"^([a-zA-Z][a-zA-Z0-9_-]*):(.*?)(?=^[a-zA-Z][a-zA-Z0-9_-]*:|\Z)",
    re.DOTALL | re.MULTILINE,
)


def load_yaml(text: str) -> Any:
    """Read YAML with the C parser, where there is one: payloads are long."""
    return yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))


def dump_yaml(document: Any) -> str:
    return str(yaml.dump(document, Dumper=getattr(yaml, "CSafeDumper", yaml.SafeDumper)))


def is_templated(text: str) -> bool:
    return any(mark in text for mark in TEMPLATE_MARKS)


def cast(text: str) -> Any:
    """What ``--set`` makes of a value: an int, a float, or the text."""
    for kind in (int, float):
        with contextlib.suppress(ValueError):
            return kind(text)
    return text


def variables(words: Sequence[str], *, typed: bool) -> dict[str, Any]:
    found = {}
    for word in words:
        key, mark, value = word.partition("=")
        if not mark:
            raise OsmoError("USER", f'Field "{word}" is not in the form <field>=<value>.')
        found[key] = cast(value) if typed else value
    return found


def expand(text: str, set_words: Sequence[str], string_words: Sequence[str]) -> str:
    """Render the ``workflow`` section once, as both the dry run and the submission do."""
    sections = split(text)
    defaults = load_yaml(sections.get("default-values", "default-values: {}"))["default-values"] or {}
    data = {**defaults, **variables(set_words, typed=True), **variables(string_words, typed=False)}
    return substitute(sections["workflow"], data)


def split(text: str) -> dict[str, str]:
    sections: dict[str, str] = {}
    for match in _SECTION.finditer(text):
        key = match.group(1)
        if key == "version":
            continue  # dropped without a word
        if key not in ("workflow", "default-values"):
            raise OsmoError("USER", f'Unknown top-level key "{key}" found in the workflow spec.')
        if key in sections:
            raise OsmoError("USER", f'Duplicate top-level key "{key}" found in the workflow spec.')
        sections[key] = match.group(0)
    if "workflow" not in sections:
        raise OsmoError("USER", "Workflow spec not found.")
    return sections


def substitute(text: str, data: Mapping[str, Any]) -> str:
    if len(text) > RENDER_LIMIT:
        raise OsmoError(
            "USAGE",
            "Jinja substitution failure: <class 'TimeoutError'>: Process exceeded time limit of 0.5 seconds",
        )
    mark = secrets.token_hex(8)
    kept: list[str] = []

    def keep(match: re.Match[str]) -> str:
        kept.append(match.group(0))
        return f"{mark}x{len(kept) - 1}x"

    environment = jinja2.sandbox.SandboxedEnvironment(undefined=jinja2.StrictUndefined)
    try:
        rendered = environment.from_string(TOKENS.sub(keep, text)).render(dict(data))
    except jinja2.TemplateError as error:
        raise OsmoError("USAGE", f"Jinja substitution failure: {type(error)}: {error}") from None
    except (TypeError, ZeroDivisionError) as error:
        raise OsmoError("USAGE", str(error)) from None
    return re.sub(f"{mark}x(\\d+)x", lambda match: kept[int(match.group(1))], rendered)


def tokens(value: Any, known: Mapping[str, str]) -> Any:
    """Put values in place of special tokens; one that names nothing stays as it is, without a word."""
    if isinstance(value, str):
        return TOKENS.sub(lambda match: known.get(match.group(0)[2:-2], match.group(0)), value)
    if isinstance(value, dict):
        return {key: tokens(item, known) for key, item in value.items()}
    if isinstance(value, list):
        return [tokens(item, known) for item in value]
    return value
