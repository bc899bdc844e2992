"""List of all settings, whoever declares them, with what each source says of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gaitway_runtime.spec.job import JOB_KINDS
from gaitway_runtime.spec.run_context import AzureContext

from .platforms.base import PLATFORMS, RunOptions
from .settings.resolve import Candidate, Declared, Sources, candidates, declared, find, is_open
from .settings.terraform import Outputs, read_outputs
from .settings.values import shown

ALIASES = {"on": "platform", "name": "run_name", "with_": "with_paths", "import_": "imports", "set": "overrides"}
"""Keywords of the Python API that name a setting as its flag does, by the keys of the settings."""

EVERY_JOB = "every job"
"""Scope of a setting that all job kinds share."""


@dataclass(frozen=True)
class SettingEntry:
    """One setting and where it holds: every job, some job kinds, submission, sources, azure, some platforms."""

    scope: str
    item: Declared


@dataclass(frozen=True)
class Chain:
    """What the sources say of one setting, strongest first: the first offer is the one that is used."""

    entry: SettingEntry
    offers: tuple[Candidate, ...]

    @property
    def used(self) -> Candidate:
        """The offer that wins."""
        return self.offers[0]

    def shown(self, offer: Candidate) -> str:
        """Return an offer's value as it may be printed."""
        return shown(offer.value, self.entry.item.info.secret)

    def of_layer(self, layer: str) -> tuple[Candidate, ...]:
        """Return what one layer offers."""
        return tuple(offer for offer in self.offers if offer.origin.layer == layer)


def scopes() -> dict[str, type[Any]]:
    """Return every class that declares settings, by the name of what it sets."""
    found: dict[str, type[Any]] = {**JOB_KINDS, "submission": RunOptions, "sources": Sources, "azure": AzureContext}
    return found | {name: platform.options for name, platform in PLATFORMS.working()}


def entries() -> list[SettingEntry]:
    """Return every setting, those of all jobs first, else in order of declaration.

    A setting that several declare alike is one entry; one whose default differs between jobs is several.
    """
    groups: dict[Any, tuple[list[str], Declared]] = {}
    for scope, cls in scopes().items():
        for item in declared([cls]).values():
            groups.setdefault((item.key, item.info, item.default), ([], item))[0].append(scope)
    found = [SettingEntry(_scope(names), item) for names, item in groups.values()]
    return sorted(found, key=lambda entry: entry.scope != EVERY_JOB)


def chains(
    chosen: Sequence[SettingEntry],
    cli: Mapping[str, Any],
    environ: Mapping[str, str],
    terraform_dir: Path,
    *,
    whole: bool,
) -> tuple[list[Chain], Outputs | None]:
    """Return the chains of some settings, and the Terraform outputs if they were asked.

    Args:
        chosen: The settings.
        cli: What was typed, by key.
        environ: The environment.
        terraform_dir: Where Terraform's outputs are.
        whole: Whether Terraform is asked even where a stronger source answers.
    """
    ask = any(entry.item.info.terraform if whole else is_open(entry.item, cli, environ) for entry in chosen)
    outputs = read_outputs(terraform_dir) if ask else None
    return [Chain(entry, tuple(candidates(entry.item, cli, environ, outputs))) for entry in chosen], outputs


def named(word: str) -> list[SettingEntry]:
    """Return the settings that a key, a flag or a variable names.

    Raises:
        UsageError: There is none; the error names the nearest.
    """
    known = entries()
    items = find(word, [entry.item for entry in known])
    return [entry for entry in known if entry.item in items]


def _scope(names: Sequence[str]) -> str:
    return EVERY_JOB if set(JOB_KINDS) <= set(names) else ", ".join(names)
