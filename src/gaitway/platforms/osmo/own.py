"""A workflow template of the user's own: which variables it has, what it comes to, and how it is submitted.

It is rendered here as OSMO renders it (twice, in a sandbox, undefined variables refused), so that the plan shows the
workflow and the checks see it; what is submitted is the template itself with one flag of each kind.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ...errors import UsageError, nearest
from ...payload.manifest import Payload
from . import checks
from .delivery import Route, choose
from .options import OsmoOptions

ROUTE_VARIABLES = {
    "dataset": ("training_localpath",),
    "inline": ("payload_localpath", "encoded_archive"),
    "upload": ("payload_url",),
}
"""Variables by which a template can take a payload, the preferred way first."""

_SECTION = re.compile(r"^([a-zA-Z][a-zA-Z0-9_-]*):(.*?)(?=^[a-zA-Z][a-zA-Z0-9_-]*:|\Z)", re.DOTALL | re.MULTILINE)
_PLACEHOLDER = "gaitwaytoken{}x"


@dataclass(frozen=True)
class Template:
    """A workflow template as it lies in a file."""

    path: Path
    workflow: str
    defaults: Mapping[str, Any]

    @property
    def variables(self) -> set[str]:
        """Every variable that the template has or gives a default."""
        from jinja2 import meta
        from jinja2.sandbox import SandboxedEnvironment

        text, _ = _without_tokens(self.workflow)
        return meta.find_undeclared_variables(SandboxedEnvironment().parse(text)) | set(self.defaults)


def load(path: Path) -> Template:
    """Read a template.

    Raises:
        UsageError: It cannot be read, or has other sections than ``workflow`` and ``default-values``.
    """
    source = f"--workflow {path}"
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"the workflow template cannot be read: {error}", source=source) from None
    sections = {match[1]: match[0] for match in _SECTION.finditer(text)}
    sections.pop("version", None)
    unknown = next((key for key in sections if key not in ("workflow", "default-values")), None)
    if unknown or "workflow" not in sections:
        what = f"has a section '{unknown}'" if unknown else "has no workflow"
        raise UsageError(f"the workflow template {what}", source=source, allowed="workflow and default-values")
    defaults = _parsed(sections.get("default-values", "default-values: {}"), source).get("default-values") or {}
    template = Template(path, sections["workflow"], defaults)
    _check_syntax(template, source)
    return template


def route(template: Template, payload: Payload, archive_size: int, options: OsmoOptions) -> Route:
    """Decide how a payload reaches a task of a template: as was asked for, in a way that the template has.

    Raises:
        UsageError: The template does not take it that way, or it is too large for it.
        ConfigError: It is to be uploaded, and there is no place for it.
    """
    ways = [way for way, names in ROUTE_VARIABLES.items() if template.variables & set(names)]
    if not ways:
        return Route("none", "", "payload: not sent; the workflow template has no variable for one")
    way = ways[0] if options.payload == "auto" else options.payload
    if way not in ways:
        raise UsageError(
            f"the workflow template does not take its payload by {way}",
            source=f"--workflow {template.path}",
            allowed=", ".join(ways),
        )
    return choose(payload, archive_size, replace(options, payload=way))


def expand(template: Template, values: Mapping[str, str], numbers: Collection[str] = ()) -> dict[str, Any]:
    """Return the workflow document that OSMO would make of a template.

    Args:
        template: The template.
        values: Texts of variables.
        numbers: Variables that the user wants cast to numbers, beside those whose default is one.

    Raises:
        UsageError: A variable is undefined, or the result is no YAML, or rendering it again would change it.
    """
    source = f"--workflow {template.path}"
    cast = _numbers(template) | set(numbers)
    given = {key: _number(value) if key in cast else value for key, value in values.items()}
    data = {**template.defaults, **given}
    once = _parsed(_rendered(template.workflow, data, source), source)
    # OSMO renders the expanded text again: whatever still looks like a template would change or be refused.
    checks.check_marks(once, source)
    return once


def flags(template: Template, values: Mapping[str, str], numbers: Collection[str] = ()) -> list[str]:
    """Return the words that hand values to ``osmo workflow submit``: one flag of each kind.

    A variable whose default is a number stays one, for ``range()`` and the like; every other is handed on as text.

    Args:
        template: The template.
        values: Texts of variables.
        numbers: As for :func:`expand`.

    Raises:
        UsageError: A value has a line break, or is too long for an argument.
    """
    numbers = _numbers(template) | set(numbers)
    used = {key: value for key, value in values.items() if key in template.variables}
    for key, value in used.items():
        _check_value(key, value)
    typed = [f"{key}={value}" for key, value in used.items() if key in numbers]
    texts = [f"{key}={value}" for key, value in used.items() if key not in numbers]
    return [*(["--set", *typed] if typed else []), *(["--set-string", *texts] if texts else [])]


def check_variables(template: Template, named: Mapping[str, str]) -> None:
    """Refuse variables that a user named and the template does not have: OSMO would drop them without a word.

    Raises:
        UsageError: There is one; the error names the nearest.
    """
    unknown = next((key for key in named if key not in template.variables), None)
    if unknown:
        close = nearest(unknown, template.variables)
        raise UsageError(
            f"the workflow template has no variable '{unknown}'",
            source=f"--workflow {template.path}",
            hint=f"did you mean {close}?" if close else f"it has {', '.join(sorted(template.variables)) or 'none'}",
        )


def _numbers(template: Template) -> set[str]:
    return {key for key, value in template.defaults.items() if type(value) in (int, float)}


def _number(text: str) -> Any:
    """Cast as ``osmo --set`` does."""
    for kind in (int, float):
        with contextlib.suppress(ValueError):
            return kind(text)
    return text


def _check_value(key: str, value: str) -> None:
    if "\n" in value or "\r" in value:
        raise UsageError(f"the value of {key} has a line break", source="workflow variables")
    checks.check_marks(value, f"variable {key}")
    if len(value.encode()) > checks.MAX_TEXT:
        raise UsageError(
            f"the value of {key} has {len(value.encode()):,} bytes, too many for an argument",
            source="workflow variables",
            allowed=f"at most {checks.MAX_TEXT:,}",
            hint="mount the payload as a file, as workflows/osmo/train.yaml does",
        )


def _without_tokens(text: str) -> tuple[str, list[str]]:
    kept: list[str] = []

    def keep(match: re.Match[str]) -> str:
        kept.append(match[0])
        return _PLACEHOLDER.format(len(kept) - 1)

    return checks.TOKEN.sub(keep, text), kept


def _rendered(text: str, data: Mapping[str, Any], source: str) -> str:
    import jinja2
    from jinja2.sandbox import SandboxedEnvironment

    bare, kept = _without_tokens(text)
    environment = SandboxedEnvironment(undefined=jinja2.StrictUndefined)
    try:
        rendered = environment.from_string(bare).render(dict(data))
    except jinja2.UndefinedError as error:
        raise UsageError(
            f"OSMO would refuse the template: {error}", source=source, hint="give it after --: name=value"
        ) from None
    except (jinja2.TemplateError, TypeError, ValueError) as error:
        raise UsageError(f"OSMO would refuse the template: {error}", source=source) from None
    for index, token in enumerate(kept):
        rendered = rendered.replace(_PLACEHOLDER.format(index), token)
    return rendered


def _check_syntax(template: Template, source: str) -> None:
    import jinja2

    try:
        _ = template.variables
    except jinja2.TemplateError as error:
        raise UsageError(f"OSMO would refuse the template: {error}", source=source) from None


def _parsed(text: str, source: str) -> dict[str, Any]:
    import yaml

    try:
        found = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise UsageError(f"the workflow is not YAML: {' '.join(str(error).split())}", source=source) from None
    if not isinstance(found, dict):
        raise UsageError("the workflow is not YAML with sections", source=source)
    return found
