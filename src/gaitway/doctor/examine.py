"""The checks of ``gaitway doctor``: those of this machine, and those that each platform brings itself."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gaitway_runtime.spec.run_context import AzureContext

from ..errors import ConfigError, GaitwayError
from ..findings import Finding
from ..platforms.base import PLATFORMS
from ..settings.resolve import Candidate, Declared, candidates, choose, declared
from ..settings.terraform import Outputs, read_outputs
from ..settings.values import Setting
from . import machine, services

EVERYWHERE = ("*",)
"""Stands for every platform, those of plug-ins included."""


@dataclass(frozen=True)
class CheckContext:
    """Platform, folder and sources of settings that the checks look at."""

    platform: str
    home: Path
    cli: Mapping[str, Any]
    environ: Mapping[str, str]
    outputs: Outputs
    problem: GaitwayError | None = None
    """Why Terraform's outputs cannot be read."""

    def settings(self, *classes: type[Any]) -> dict[str, Setting]:
        """Return what the sources say, leaving out what cannot be used."""
        return {
            key: choose(item, [offer for offer in self._offers(item) if not offer.error], self.outputs)
            for key, item in declared(classes).items()
        }

    def unusable(self, *classes: type[Any]) -> Iterator[Finding]:
        """Yield a finding for each value that does not fit its setting."""
        for key, item in declared(classes).items():
            for error in [offer.error for offer in self._offers(item) if offer.error]:
                fix = f"correct {error.source}" + (f"; allowed: {error.allowed}" if error.allowed else "")
                yield Finding(f"setting {key}", False, error.message, fix)

    def _offers(self, item: Declared) -> list[Candidate]:
        return candidates(item, self.cli, self.environ, self.outputs)


@dataclass(frozen=True)
class Check:
    """One check, and the platforms that cannot work without what it looks for; none: it is only good to know."""

    look: Callable[[CheckContext], Iterator[Finding]]
    needed_on: tuple[str, ...] = ()


CHECKS: tuple[Check, ...] = (
    Check(lambda at: machine.python(), EVERYWHERE),
    Check(lambda at: machine.packages("local"), ("local",)),
    Check(lambda at: machine.drawing(at.environ)),
    Check(lambda at: services.local_store(at.home), ("local",)),
    Check(lambda at: services.tracking_address(at.environ), ("local",)),
    Check(lambda at: services.tracking_server(at.environ)),
    Check(lambda at: machine.disk(at.home), EVERYWHERE),
    Check(lambda at: machine.git()),
    Check(lambda at: services.terraform()),
    Check(lambda at: services.terraform_outputs(at.outputs, at.problem)),
    Check(lambda at: machine.packages("azureml"), ("azureml",)),
    Check(lambda at: services.azure_workspace(at.settings(AzureContext), at.environ), ("azureml",)),
)
"""The checks of this machine, in the order they are shown. A new one is a function and a row here."""


def read_context(
    platform: str, home: Path, cli: Mapping[str, Any], environ: Mapping[str, str], terraform_dir: Path
) -> CheckContext:
    """Read Terraform's outputs, if that is possible, and return what the checks look at."""
    try:
        return CheckContext(platform, home, cli, environ, read_outputs(terraform_dir))
    except ConfigError as error:
        return CheckContext(platform, home, cli, environ, Outputs(terraform_dir), error)


def examine(at: CheckContext) -> Iterator[Finding]:
    """Yield every finding as it is made. Only what the chosen platform needs is required."""
    for check in CHECKS:
        for finding in check.look(at):
            yield _as_shown(finding, check.needed_on == EVERYWHERE or at.platform in check.needed_on)
    for name, platform in PLATFORMS.working():
        yield from at.unusable(AzureContext, platform.options) if name == at.platform else ()
        for finding in platform.check(at.settings(AzureContext, platform.options)):
            yield _as_shown(finding, finding.required and name == at.platform)


def missing(findings: Sequence[Finding]) -> list[Finding]:
    """Return what the chosen platform needs and does not have."""
    return [finding for finding in findings if finding.required and not finding.ok]


def _as_shown(finding: Finding, required: bool) -> Finding:
    return dataclasses.replace(finding, required=required, fix="" if finding.ok else finding.fix)
