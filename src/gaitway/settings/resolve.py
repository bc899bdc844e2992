"""The resolver: command line > environment > Terraform outputs > default, and every value with its origin."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..findings import Finding
from .fields import Declared, Sources, declared
from .sources import Candidate, candidates
from .terraform import Outputs, read_outputs
from .values import Origin, Setting


class Settings(dict[str, Setting]):
    """Resolved settings by key, and what was found wrong with the sources on the way."""

    findings: tuple[Finding, ...] = ()


def resolve(
    classes: Sequence[type[Any]],
    cli: Mapping[str, Any],
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


def terraform_folder(cli: Mapping[str, Any], environ: Mapping[str, str]) -> Path:
    """Return the folder to read Terraform outputs from: ``--terraform-dir``, its variable, or the default."""
    return Path(resolve([Sources], cli, environ=environ, terraform_dir=None)["terraform_dir"].value)


def is_open(item: Declared, cli: Mapping[str, Any], environ: Mapping[str, str]) -> bool:
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
