"""Resolver of settings: command line > environment > Terraform outputs > default, every value with its origin.

A setting is declared once, on a dataclass; its key finds it here, whatever its flag or variable is called.
"""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gaitway_runtime.spec.files import project_root
from gaitway_runtime.spec.secrets import public_form
from gaitway_runtime.spec.settings import SettingInfo, check_value, parse_value, setting, settings_of

from ..errors import ConfigError, GaitwayError, UsageError, nearest
from ..findings import Finding
from .terraform import Outputs, read_outputs
from .values import Origin, Secret, Setting


class Settings(dict[str, Setting]):
    """Resolved settings by key, and what was found wrong with the sources on the way."""

    findings: tuple[Finding, ...] = ()


def resolve(
    classes: Sequence[type[Any]],
    cli: Mapping[str, object],
    *,
    environ: Mapping[str, str],
    terraform_dir: Path | None,
) -> Settings:
    """Resolve every setting that some classes declare.

    Terraform is asked at most once, and only where a setting it can fill is left open by the layers above.

    Args:
        classes: Dataclasses declared with ``setting()``: a job, ``AzureContext``, a platform's options.
        cli: What was typed, and nothing else, by key: texts, or values of the field's type.
        environ: The environment.
        terraform_dir: Folder to read outputs from; None for work that needs none of them.

    Raises:
        UsageError: A winning value does not fit its field; the error names the flag or the variable.
        ConfigError: Terraform's outputs are unreadable, or a winning one does not fit.
    """
    known = declared(classes)
    outputs = None
    if terraform_dir is not None and any(is_open(item, cli, environ) for item in known.values()):
        outputs = read_outputs(terraform_dir)
    settings = Settings(
        {key: choose(item, candidates(item, cli, environ, outputs), outputs) for key, item in known.items()}
    )
    settings.findings = _findings(settings, known, outputs)
    return settings


def choose(item: Declared, offers: Sequence[Candidate], outputs: Outputs | None = None) -> Setting:
    """Return a setting from what the sources offer: the first wins, the others are shown as shadowed.

    Raises:
        UsageError, ConfigError: The winner does not fit the field. A shadowed value that does not fit is only noted.
    """
    winner, *others = offers
    if winner.error:
        raise winner.error
    return Setting(
        key=item.key,
        value=winner.value,
        origin=winner.origin,
        shadowed=tuple((other.value, _noted(other)) for other in others),
        secret=item.info.secret,
        whole=winner.whole,
        ways=_ways(item, outputs),
    )


def terraform_folder(cli: Mapping[str, object], environ: Mapping[str, str]) -> Path:
    """Return the folder to read Terraform outputs from: ``--terraform-dir``, its variable, or the default."""
    return Path(resolve([Sources], cli, environ=environ, terraform_dir=None)["terraform_dir"].value)


def is_open(item: Declared, cli: Mapping[str, object], environ: Mapping[str, str]) -> bool:
    """Whether Terraform could fill a setting that nothing above it answers."""
    return bool(item.info.terraform) and len(candidates(item, cli, environ, None)) == 1


def _noted(other: Candidate) -> Origin:
    if not other.error:
        return other.origin
    return Origin(other.origin.layer, f"{other.origin.detail} (not usable: {other.error.message})")


def _ways(item: Declared, outputs: Outputs | None) -> tuple[str, ...]:
    if not item.info.terraform or outputs is None or outputs.finding is None:
        return item.ways
    return (*item.ways[:-1], f"{item.ways[-1]} ({outputs.finding.message})")


def _findings(settings: Settings, known: Mapping[str, Declared], outputs: Outputs | None) -> tuple[Finding, ...]:
    """Name the settings that Terraform would have filled, had it any outputs."""
    if outputs is None or outputs.finding is None:
        return ()
    found = outputs.finding
    left = [key for key, item in known.items() if item.info.terraform and settings[key].value is None]
    message = f"{found.message}; not set: {', '.join(left)}" if left else found.message
    return (Finding(found.check, found.ok, message, found.fix, found.required),)


FROM_ROOT = ("terraform_dir", "training_path")
"""Settings whose default is a folder below the project's root, wherever in the project the command is typed."""

PLACEHOLDER = re.compile(
    r"\A\s*<[^<>]*>\s*\Z|<your[_ -]|\byour[_-](\w+[_-])*(id|name|key|group|subscription|tenant|workspace|account)\b"
    r"|\A(change[_-]?me|todo|x{4,})\Z",
    re.IGNORECASE,
)
"""What examples have in the place of a value of one's own."""

PREFIX = "GAITWAY_"
"""Beginning of the variables that are gaitway's own."""


@dataclass(frozen=True)
class Declared:
    """One declared setting: its key among all settings, and the field it fills."""

    key: str
    cls: type[Any]
    name: str
    info: SettingInfo
    default: Any

    @property
    def ways(self) -> tuple[str, ...]:
        """How a user can set it, strongest first."""
        outputs = tuple(f"terraform output {path}" for path in self.info.terraform[:1])
        return self.info.flags[:1] + self.variables + outputs

    @property
    def variables(self) -> tuple[str, ...]:
        """Environment variables that set it here, strongest first: gaitway's own, then names that are older than it."""
        older = () if self.info.container_only else self.info.env
        own = () if any(name.startswith(PREFIX) for name in older) else (f"{PREFIX}{self.key.upper()}",)
        return own + older

    def parse(self, raw: Any, source: str) -> Any:
        """Return a raw value in the field's type and within its limits; a secret field's as a :class:`Secret`.

        Raises:
            UsageError: It does not fit. Of a secret the error does not repeat the text.
        """
        if isinstance(raw, Secret) or self.info.secret:
            return raw if raw is None or isinstance(raw, Secret) else Secret(raw)
        if isinstance(raw, str):
            return parse_value(self.cls, self.name, raw, source)
        return check_value(self.cls, self.name, raw, source)


@dataclass(frozen=True, kw_only=True)
class Sources:
    """Where settings are read from."""

    terraform_dir: str = setting(
        "deploy/001-iac",
        "Folder whose Terraform outputs fill what flags and environment leave open.",
        flags="--terraform-dir",
        env="GAITWAY_TERRAFORM_DIR",
        metavar="DIR",
    )


def declared(classes: Sequence[type[Any]]) -> dict[str, Declared]:
    """Return every setting of some classes by its key, in order of declaration.

    A class may name a ``settings_prefix`` that its keys begin with.

    Raises:
        ValueError: Two classes declare the same key.
    """
    found: dict[str, Declared] = {}
    for cls in classes:
        prefix = getattr(cls, "settings_prefix", "")
        for field, info in settings_of(cls):
            key = prefix + field.name
            if key in found:
                raise ValueError(f"setting {key} is declared by {found[key].cls.__name__} and by {cls.__name__}")
            default = field.default if field.default is not dataclasses.MISSING else None
            found[key] = Declared(key, cls, field.name, info, default)
    return found


def find(word: str, known: Iterable[Declared]) -> list[Declared]:
    """Return the settings that a key, a flag or an environment variable names.

    Raises:
        UsageError: There is none; the error names the nearest.
    """
    names: dict[str, list[Declared]] = {}
    for item in known:
        for name in (item.key, *item.info.flags, *item.variables):
            names.setdefault(name, []).append(item)
    for candidate in (word, word.replace("-", "_"), f"--{word}"):
        if candidate in names:
            return names[candidate]
    close = nearest(word, names)
    raise UsageError(
        f"unknown setting '{word}'", hint=f"did you mean {close}?" if close else "gaitway config lists them all"
    )


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
    item: Declared, cli: Mapping[str, object], environ: Mapping[str, str], outputs: Outputs | None
) -> list[Candidate]:
    """Return everything the sources offer for one setting, strongest first; the default is always the last."""
    return [
        *from_cli(item, cli),
        *from_environment(item, environ),
        *(from_terraform(item, outputs) if outputs else ()),
        Candidate(default_of(item), Origin("default")),
    ]


def default_of(item: Declared) -> Any:
    """Return a setting's default; of a folder of the project, as it is reached from the current folder."""
    if item.key not in FROM_ROOT:
        return item.default
    return os.path.relpath(project_root() / item.default)


def from_cli(item: Declared, cli: Mapping[str, object]) -> Iterator[Candidate]:
    """Yield what was typed for a setting, if anything was."""
    if item.key in cli:
        flag = item.info.flags[0] if item.info.flags else item.key
        yield _candidate(item, cli[item.key], Origin("cli", flag), flag)


def from_environment(item: Declared, environ: Mapping[str, str]) -> Iterator[Candidate]:
    """Yield what each of a setting's variables says; an empty one says nothing."""
    for variable in item.variables:
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


def _check_placeholder(item: Declared, text: str, source: str) -> None:
    """Refuse what an example has in the place of a value of one's own.

    Raises:
        UsageError: It is that. Of a secret the error does not repeat the text.
    """
    if PLACEHOLDER.search(text):
        shown_text = "" if item.info.secret else f": {text}"
        message = f"{item.key.replace('_', ' ')} is still the placeholder of an example{shown_text}"
        raise UsageError(message, source=source, hint=f"gaitway config explain {item.key}")


def _candidate(item: Declared, raw: Any, origin: Origin, source: str) -> Candidate:
    try:
        if isinstance(raw, str) and origin.layer != "terraform":
            _check_placeholder(item, raw, source)
        value = item.parse(raw, source)
    except UsageError as error:
        return Candidate(raw, origin, error)
    public = public_form(value) if item.info.address and isinstance(value, str) else value
    return Candidate(public, origin, whole=None if public == value else Secret(value))
