"""Step 02, the gang scheduler, which starts all pods of a job or none: KAI by default, Volcano for Azure ML alone."""

from __future__ import annotations

from collections.abc import Mapping

from ..actions import Plan
from ..deployment import Deployment
from .base import Step, access, helm_install, helm_remove, release_there

RELEASES: Mapping[str, str] = {"kai": "kai-scheduler", "volcano": "volcano"}
"""Helm release, chart values and namespace of each scheduler."""
NAMESPACES: Mapping[str, str] = {"kai": "kai-scheduler", "volcano": "volcano-system"}


def plan(deployment: Deployment) -> Plan:
    """Install the chosen scheduler."""
    chosen = deployment["scheduler"]
    release = RELEASES[chosen]
    pin = release.replace("-", "_")
    return Plan((*access(deployment), helm_install(deployment, release, NAMESPACES[chosen], pin=pin, values=release)))


def removal(deployment: Deployment) -> Plan:
    """Remove the chosen scheduler."""
    chosen = deployment["scheduler"]
    return Plan((*access(deployment), helm_remove(deployment, RELEASES[chosen], NAMESPACES[chosen])))


STEP = Step(
    number=2,
    name="scheduler",
    title="a scheduler for gangs of pods",
    plan=plan,
    removal=removal,
    there=lambda deployment: release_there(
        deployment, RELEASES[deployment["scheduler"]], NAMESPACES[deployment["scheduler"]]
    ),
    after=("gpu-operator",),
)
