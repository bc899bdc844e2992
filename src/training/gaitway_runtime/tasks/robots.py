"""Robots: a generated MJCF and the facts that Isaac Lab keeps in its asset configuration. Standard library only."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..spec.registry import Registry
from .mirrors import RobotMirror

if TYPE_CHECKING:
    from .scene import Scene


@dataclass(frozen=True, kw_only=True)
class RobotSpec:
    """A robot: its generated model and the facts that Isaac Lab keeps in its asset configuration.

    Joint lists are in the policy's order, which is Isaac Lab's (breadth first over the kinematic tree).
    """

    name: str
    scene: Callable[[bool], Scene]
    """Makes the model's pieces; its argument says whether to add geoms that are only seen."""
    joint_names: tuple[str, ...]
    default_joint_pos: tuple[float, ...]
    """[rad], [m] for a slider."""
    init_height: float
    """Height of the root at the start of an episode [m]."""
    base: str | None = None
    """Body of the free joint, or None for a robot that is fixed to the world."""
    stiffness: tuple[float, ...] = ()
    """Position gain of each joint's drive [N m/rad]; none for effort control."""
    damping: tuple[float, ...] = ()
    """Velocity gain of each joint's drive [N m s/rad]."""
    effort_limits: tuple[float, ...] = ()
    """Greatest torque of each joint's drive [N m]; none where there is no limit."""
    actuator: str = "effort"
    """``effort``, or ``implicit_pd``."""
    soft_limit_factor: float = 1.0
    contact_bodies: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Groups of bodies whose contacts are measured, by the group's name. ``feet`` also keeps air times."""
    end_effector: str | None = None
    """Body whose pose is measured: an arm's hand."""
    wrench_bodies: tuple[str, ...] = ()
    """Bodies whose incoming joint wrench is measured."""
    scan_joint: str | None = None
    """Joint by which the body that carries the height scanner turns on the base, about the vertical."""
    mirrors: tuple[RobotMirror, ...] = ()
    """Symmetries of the robot."""

    def matching(self, *parts: str) -> tuple[int, ...]:
        """Return the indices of the joints whose name contains one of the parts.

        Raises:
            ValueError: There is none.
        """
        found = tuple(k for k, name in enumerate(self.joint_names) if any(part in name for part in parts))
        if not found:
            raise ValueError(f"{self.name} has no joint like {', '.join(parts)}")
        return found


def contact_sensor(body: str) -> str:
    """Name of the net contact force sensor of a body."""
    return f"contact_{body}"


ROBOTS: Registry[RobotSpec] = Registry(
    "gaitway.robots",
    "robot",
    {
        "cartpole": "gaitway_runtime.tasks.cartpole.robot:SPEC",
        "ant": "gaitway_runtime.tasks.ant.robot:SPEC",
        "humanoid": "gaitway_runtime.tasks.humanoid.robot:SPEC",
        "anymal_c": "gaitway_runtime.tasks.velocity.anymal_c.robot:SPEC",
        "anymal_b": "gaitway_runtime.tasks.velocity.anymal_b.robot:SPEC",
        "anymal_d": "gaitway_runtime.tasks.velocity.anymal_d.robot:SPEC",
        "unitree_go2": "gaitway_runtime.tasks.velocity.unitree_go2.robot:SPEC",
        "unitree_go1": "gaitway_runtime.tasks.velocity.unitree_go1.robot:SPEC",
        "unitree_a1": "gaitway_runtime.tasks.velocity.unitree_a1.robot:SPEC",
        "franka_panda": "gaitway_runtime.tasks.reach.franka.robot:SPEC",
        "ur10": "gaitway_runtime.tasks.reach.ur10.robot:SPEC",
        "unitree_h1": "gaitway_runtime.tasks.velocity.unitree_h1.robot:SPEC",
        "unitree_g1": "gaitway_runtime.tasks.velocity.unitree_g1.robot:SPEC",
    },
)
"""Robots by name."""


def register_robot(robot: RobotSpec) -> None:
    """Add a robot.

    Raises:
        UsageError: Its name is taken.
    """
    ROBOTS.register(robot.name, robot)
