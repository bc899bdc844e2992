"""Step 02: the scheduler that starts all pods of a job at once or none. KAI by default; Volcano for Azure ML alone."""

from __future__ import annotations

from collections.abc import Mapping

from ..actions import Plan
from ..ground import Ground
from .base import Step, access, helm_install, helm_remove, release_there

RELEASES: Mapping[str, str] = {"kai": "kai-scheduler", "volcano": "volcano"}
"""Helm release, chart values and namespace of each scheduler."""
NAMESPACES: Mapping[str, str] = {"kai": "kai-scheduler", "volcano": "volcano-system"}


def plan(ground: Ground) -> Plan:
    """Install the chosen scheduler."""
    chosen = ground["scheduler"]
    release = RELEASES[chosen]
    pin = release.replace("-", "_")
    return Plan((*access(ground), helm_install(ground, release, NAMESPACES[chosen], pin=pin, values=release)))


def removal(ground: Ground) -> Plan:
    """Remove the chosen scheduler."""
    chosen = ground["scheduler"]
    return Plan((*access(ground), helm_remove(ground, RELEASES[chosen], NAMESPACES[chosen])))


STEP = Step(
    number=2,
    name="scheduler",
    title="a scheduler for gangs of pods",
    plan=plan,
    removal=removal,
    there=lambda ground: release_there(ground, RELEASES[ground["scheduler"]], NAMESPACES[ground["scheduler"]]),
    after=("gpu-operator",),
)
