"""The user's own workflow template: its variables, its expansion, and the words after ``--`` that fill it.

It is rendered here as OSMO renders it (twice, in a sandbox, undefined variables refused), so that the plan shows the
workflow and the checks see it; what is submitted is the template itself with one flag of each kind.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from gaitway_runtime.spec.job import Job

from ...errors import UsageError, nearest
from ...payload.archive import Payload
from ...settings.resolve import Declared
from . import checks
from .options import OsmoOptions
from .payload import Route, choose_route

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
    """A workflow template as a file holds it."""

    path: Path
    workflow: str
    defaults: Mapping[str, object]

    @property
    def variables(self) -> set[str]:
        """Every variable that the template has or gives a default."""
        from jinja2 import meta
        from jinja2.sandbox import SandboxedEnvironment

        text, _ = _without_tokens(self.workflow)
        return meta.find_undeclared_variables(SandboxedEnvironment().parse(text)) | set(self.defaults)


def read_template(path: Path) -> Template:
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


def template_route(template: Template, payload: Payload, archive_size: int, options: OsmoOptions) -> Route:
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
    return choose_route(payload, archive_size, replace(options, payload=way))


def expand_template(template: Template, values: Mapping[str, str], numbers: Collection[str] = ()) -> dict[str, object]:
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


def submit_flags(template: Template, values: Mapping[str, str], numbers: Collection[str] = ()) -> list[str]:
    """Return the words that hand values to ``osmo workflow submit``: one flag of each kind.

    A variable whose default is a number stays one, for ``range()`` and the like; every other is handed on as text.

    Args:
        template: The template.
        values: Texts of variables.
        numbers: As for :func:`expand_template`.

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


def _rendered(text: str, data: Mapping[str, object], source: str) -> str:
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


SOURCE = "after --"
_VALUES = {"--set": "numbers", "--set-string": "texts", "--set-env": "environment"}
_OPTIONS = {"--pool": "pool", "-p": "pool", "--priority": "priority"}
_IGNORED = {"--format-type", "-t"}
_FLAGS = ("--set", "--set-string", "--set-env", "--dry-run", "--pool", "--priority", "--format-type")


@dataclass(frozen=True)
class Forwarded:
    """The words after ``--``, sorted by kind."""

    texts: Mapping[str, str] = field(default_factory=dict)
    """Bare ``key=value`` words and those of ``--set-string``."""
    numbers: Mapping[str, str] = field(default_factory=dict)
    """Words of ``--set``, which OSMO casts to numbers where it can."""
    environment: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, str] = field(default_factory=dict)
    """``pool`` and ``priority``."""
    dry_run: bool = False

    @property
    def variables(self) -> dict[str, str]:
        """Every template variable; a text wins over a number of the same name, as in OSMO."""
        return {**self.numbers, **self.texts}


def parse_forwarded(words: Sequence[str]) -> Forwarded:
    """Read what a user wrote after ``--``.

    Raises:
        UsageError: A word is neither ``key=value`` nor a flag of ``osmo workflow submit`` that means something here.
    """
    found: dict[str, dict[str, str]] = {"texts": {}, "numbers": {}, "environment": {}, "options": {}}
    kind, dry_run = "texts", False
    rest = iter(words)
    for word in rest:
        flag, _, joined = word.partition("=") if word.startswith("-") else (word, "", "")
        if flag == "--dry-run":
            dry_run, kind = True, "texts"
        elif flag in _VALUES:
            kind = _VALUES[flag]
            if joined:
                _add(found[kind], joined)
        elif flag in _OPTIONS:
            found["options"][_OPTIONS[flag]] = joined or _next(rest, flag)
            kind = "texts"
        elif flag in _IGNORED:
            _ = joined or _next(rest, flag)
            kind = "texts"
        elif word.startswith("-"):
            close = nearest(word, _FLAGS, 1)
            raise UsageError(
                f"unknown option '{word}' for osmo workflow submit",
                source=SOURCE,
                allowed=f"key=value words and {', '.join(_FLAGS)}",
                hint=f"did you mean {close}?" if close else None,
            )
        else:
            _add(found[kind], word)
    return Forwarded(**found, dry_run=dry_run)


def _add(values: dict[str, str], word: str) -> None:
    key, equals, value = word.partition("=")
    if not equals or not key:
        raise UsageError(f"'{word}' is not of the form key=value", source=SOURCE)
    values[key] = value


def _next(rest: Iterator[str], flag: str) -> str:
    value = next(rest, None)
    if value is None:
        raise UsageError(f"{flag} has no value", source=SOURCE)
    return value


def name_of(item: Declared) -> str:
    """Return the variable of a setting: of a job's its environment variable in lower case, of any other its key."""
    return item.info.env[0].lower() if issubclass(item.cls, Job) and item.info.env else item.key


def names_of(item: Declared) -> set[str]:
    """Return every variable that stands for a setting."""
    flags = {flag[2:].replace("-", "_") for flag in item.info.flags if flag.startswith("--")}
    return {item.key, name_of(item), *flags, *(name.lower() for name in item.info.env)}


def key_of(variable: str, known: Iterable[Declared]) -> str | None:
    """Return the key of the setting that a variable stands for, or None."""
    return next((item.key for item in known if variable in names_of(item)), None)


def text_of(item: Declared, value: Any) -> str:
    """Return a value as a variable's text; nothing at all stands for a value that is not set."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, list | tuple):
        return item.info.separator.join(map(str, value))
    return str(value)
