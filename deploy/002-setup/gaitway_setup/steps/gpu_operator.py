"""Step 01, the GPU operator, which makes a node's GPUs a resource that pods can request."""

from __future__ import annotations

from ..actions import Plan
from ..deployment import Deployment
from .base import Step, access, helm_install, helm_remove, release_there

RELEASE = NAMESPACE = "gpu-operator"


def plan(deployment: Deployment) -> Plan:
    """Install the operator."""
    install = helm_install(deployment, RELEASE, NAMESPACE, pin="gpu_operator", values="gpu-operator")
    return Plan((*access(deployment), install))


def removal(deployment: Deployment) -> Plan:
    """Remove it."""
    return Plan((*access(deployment), helm_remove(deployment, RELEASE, NAMESPACE)))


STEP = Step(
    number=1,
    name="gpu-operator",
    title="the GPU operator",
    plan=plan,
    removal=removal,
    there=lambda deployment: release_there(deployment, RELEASE, NAMESPACE),
)
