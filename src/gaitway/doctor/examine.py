"""Runs the checks: those of this machine, and those that each platform brings itself."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from gaitway_runtime.job import AzureContext

from ..findings import Finding
from ..platforms.base import PLATFORMS, load, present
from . import azure, machine, rendering, terraform, tracking
from .surroundings import Surroundings

EVERYWHERE = tuple(PLATFORMS)


@dataclass(frozen=True)
class Check:
    """One check, and the platforms that cannot work without what it looks for; none: it is only good to know."""

    look: Callable[[Surroundings], Iterator[Finding]]
    needed_on: tuple[str, ...] = ()


CHECKS: tuple[Check, ...] = (
    Check(lambda at: machine.python(), EVERYWHERE),
    Check(lambda at: machine.packages("local"), ("local",)),
    Check(lambda at: rendering.drawing(at.environ)),
    Check(lambda at: tracking.local_store(at.home), ("local",)),
    Check(lambda at: tracking.server(at.environ)),
    Check(lambda at: machine.disk(at.home), EVERYWHERE),
    Check(lambda at: machine.git()),
    Check(lambda at: terraform.tool()),
    Check(lambda at: terraform.outputs(at.outputs, at.problem)),
    Check(lambda at: machine.packages("azureml"), ("azureml",)),
    Check(lambda at: azure.workspace(at.settings(AzureContext), at.environ), ("azureml",)),
)
"""The checks of this machine, in the order they are shown. A new one is a function and a row here."""


def examine(at: Surroundings) -> Iterator[Finding]:
    """Yield every finding as it is made. Only what the chosen platform needs is required."""
    for check in CHECKS:
        for finding in check.look(at):
            yield _as_shown(finding, at.platform in check.needed_on)
    for name in present():
        platform = load(name)
        yield from at.unusable(AzureContext, platform.options) if name == at.platform else ()
        for finding in platform.check(at.settings(AzureContext, platform.options)):
            yield _as_shown(finding, finding.required and name == at.platform)


def missing(findings: Sequence[Finding]) -> list[Finding]:
    """Return what the chosen platform needs and does not have."""
    return [finding for finding in findings if finding.required and not finding.ok]


def _as_shown(finding: Finding, required: bool) -> Finding:
    return dataclasses.replace(finding, required=required, fix="" if finding.ok else finding.fix)
