"""What the environment must know of a robot beside its MJCF."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class RobotSpec:
    """A robot: its generated model and the facts that Isaac Lab keeps in its asset configuration.

    Joint lists are in the policy's order, which is Isaac Lab's (breadth first over the kinematic tree).
    """

    name: str
    joint_names: tuple[str, ...]
    default_joint_pos: tuple[float, ...]
    """[rad], [m] for a slider."""
    init_height: float
    """Height of the root at the start of an episode [m]."""
    base: str | None = None
    """Body of the free joint, or None for a robot that is fixed to the world."""
    stiffness: float = 0.0
    """Position gain of every actuator [N m/rad]; 0 for effort control."""
    damping: float = 0.0
    """Velocity gain of every actuator [N m s/rad]."""
    effort_limit: float = float("inf")
    """[N m]."""
    actuator: str = "effort"
    soft_limit_factor: float = 1.0
    contact_bodies: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Groups of bodies whose contacts are measured, by the group's name. ``feet`` also keeps air times."""
    wrench_bodies: tuple[str, ...] = ()
    """Bodies whose incoming joint wrench is measured."""


def contact_sensor(body: str) -> str:
    """Name of the net contact force sensor of a body."""
    return f"contact_{body}"
