"""Step 01: the GPU operator, which makes a node's GPUs something that a pod can ask for."""

from __future__ import annotations

from ..actions import Plan
from ..ground import Ground
from .base import Step, access, helm_install, helm_remove, release_there

RELEASE = NAMESPACE = "gpu-operator"


def plan(ground: Ground) -> Plan:
    """Install the operator."""
    install = helm_install(ground, RELEASE, NAMESPACE, pin="gpu_operator", values="gpu-operator")
    return Plan((*access(ground), install))


def removal(ground: Ground) -> Plan:
    """Remove it."""
    return Plan((*access(ground), helm_remove(ground, RELEASE, NAMESPACE)))


STEP = Step(
    number=1,
    name="gpu-operator",
    title="the GPU operator",
    plan=plan,
    removal=removal,
    there=lambda ground: release_there(ground, RELEASE, NAMESPACE),
)
