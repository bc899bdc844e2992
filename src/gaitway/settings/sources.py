"""What each source says of a setting: command line, environment, Terraform outputs, default."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from gaitway_runtime.tracking.credentials import public_form

from ..errors import ConfigError, GaitwayError, UsageError
from .fields import Declared
from .terraform import Outputs
from .values import Origin, Secret


@dataclass(frozen=True)
class Candidate:
    """What one source offers for a setting; ``error`` says why it could not be used.

    Of an address, ``value`` is the public form, and ``whole`` the address itself where they differ.
    """

    value: Any
    origin: Origin
    error: GaitwayError | None = None
    whole: Secret | None = None


def candidates(
    item: Declared, cli: Mapping[str, Any], environ: Mapping[str, str], outputs: Outputs | None
) -> list[Candidate]:
    """Return everything the sources offer for one setting, strongest first; the default is always the last."""
    return [
        *from_cli(item, cli),
        *from_environment(item, environ),
        *(from_terraform(item, outputs) if outputs else ()),
        Candidate(item.default, Origin("default")),
    ]


def from_cli(item: Declared, cli: Mapping[str, Any]) -> Iterator[Candidate]:
    """Yield what was typed for a setting, if anything was."""
    if item.key in cli:
        flag = item.info.flags[0] if item.info.flags else item.key
        yield _candidate(item, cli[item.key], Origin("cli", flag), flag)


def from_environment(item: Declared, environ: Mapping[str, str]) -> Iterator[Candidate]:
    """Yield what each of a setting's variables says; an empty one says nothing."""
    for variable in item.info.env:
        text = environ.get(variable, "")
        if text.strip():
            yield _candidate(item, text, Origin("env", variable), f"env {variable}")


def from_terraform(item: Declared, outputs: Outputs) -> Iterator[Candidate]:
    """Yield what the first of a setting's Terraform outputs that is there says."""
    for path in item.info.terraform:
        found = outputs.lookup(path)
        if found:
            origin = Origin("terraform", f"{outputs.folder}, output {path}")
            yield _from_output(item, found, origin)
            return


def _from_output(item: Declared, found: Any, origin: Origin) -> Candidate:
    if isinstance(found, Secret) and not item.info.secret:
        message = f"a sensitive Terraform output cannot fill {item.key}, which is written into the request"
        return Candidate(found, origin, ConfigError(message, source=str(origin), allowed=", ".join(item.ways[:-1])))
    if not isinstance(found, str | Secret):
        message = f"the Terraform output for {item.key} is not one text"
        return Candidate(found, origin, ConfigError(message, source=str(origin)))
    candidate = _candidate(item, found, origin, str(origin))
    error = candidate.error
    if error is None:
        return candidate
    refused = ConfigError(error.message, source=error.source, allowed=error.allowed, hint=error.hint)
    return dataclasses.replace(candidate, error=refused)


def _candidate(item: Declared, raw: Any, origin: Origin, source: str) -> Candidate:
    try:
        value = item.parse(raw, source)
    except UsageError as error:
        return Candidate(raw, origin, error)
    public = public_form(value) if item.info.address and isinstance(value, str) else value
    return Candidate(public, origin, whole=None if public == value else Secret(value))
