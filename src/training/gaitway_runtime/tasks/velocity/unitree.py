"""Unitree's quadrupeds: one build, other numbers."""

from __future__ import annotations

from dataclasses import dataclass

from ..links import LOOK, Joint, Link, Vector, box, capsule, cylinder, solid, sphere
from ..mirrors import RobotMirror, mirror_by_names

LEGS: tuple[tuple[str, int, int], ...] = (("FL", 1, 1), ("FR", 1, -1), ("RL", -1, 1), ("RR", -1, -1))
"""Name, +1 for front, +1 for left; in Isaac Lab's order."""
JOINTS = tuple(f"{leg}_{part}_joint" for part in ("hip", "thigh", "calf") for leg, *_ in LEGS)
FEET = tuple(f"{leg}_foot" for leg, *_ in LEGS)
CAMERA = '<camera name="track" mode="trackcom" pos="0.4 -1.8 0.6" xyaxes="1 0.23 0 -0.06 0.25 1"/>'


@dataclass(frozen=True, kw_only=True)
class Body:
    """A rigid body of the front left leg, or the base; the others follow by symmetry."""

    mass: float
    """[kg]."""
    com: Vector
    """[m]; of the front left leg."""
    inertia: Vector
    """About the axes through the centre of mass [kg m^2]."""


@dataclass(frozen=True, kw_only=True)
class Quadruped:
    """Numbers of one robot."""

    base: Body
    base_half: Vector
    """Half sizes of the base's box [m]."""
    hip: Body
    hip_at: tuple[float, float]
    """Hip joint ahead of and beside the base's origin [m]."""
    thigh: Body
    thigh_beside: float
    """Thigh joint beside the hip joint [m]."""
    calf: Body
    """With the foot."""
    thigh_length: float
    """[m]."""
    calf_length: float
    """From the knee to the middle of the foot [m]."""
    foot_at: float = 0.0
    """Foot ahead of the line down from the knee [m]."""
    foot_radius: float
    """[m]."""
    ranges: tuple[tuple[float, float], tuple[float, float], tuple[float, float], tuple[float, float]]
    """Of hip, front thigh, rear thigh and calf [rad]."""
    armature: float
    """[kg m^2]."""


def contacts(base: str) -> dict[str, tuple[str, ...]]:
    """Return the groups of bodies whose contacts are measured, for a robot whose base is called so."""
    return {"base": (base,), "thighs": tuple(f"{leg}_thigh" for leg, *_ in LEGS), "feet": FEET}


def mirrors() -> tuple[RobotMirror, ...]:
    """Return the symmetry of the robots: left and right. Front and rear legs stand differently."""
    swaps = {"FL": "FR", "FR": "FL", "RL": "RR", "RR": "RL"}
    return (mirror_by_names("left-right", (1, -1, 1), JOINTS, FEET, swaps=swaps, flipped=("hip",)),)


def links(robot: Quadruped, base_name: str = "base") -> tuple[Link, ...]:
    """Return the robot's links: base, hips, thighs, calves, feet."""
    x, y, z = robot.base_half
    base = Link(
        name=base_name,
        parent=None,
        pos=(0.0, 0.0, 0.0),
        mass=robot.base.mass,
        com=robot.base.com,
        inertia=robot.base.inertia,
        geoms=(box(robot.base_half, (0.0, 0.0, 0.0), solid("shell"), base_name),),
        looks=(
            box((0.06, 0.6 * y, 0.7 * z), (x + 0.05, 0.0, 0.01), f'material="frame" {LOOK}'),
            box((0.6 * x, 0.9 * y, 0.02), (0.0, 0.0, z + 0.01), f'material="metal" {LOOK}'),
        ),
    )
    return (base, *(link for leg in LEGS for link in _leg(robot, base_name, *leg)))


def _leg(robot: Quadruped, base_name: str, leg: str, front: int, left: int) -> tuple[Link, ...]:
    hip, front_thigh, rear_thigh, calf = robot.ranges
    length, foot = robot.thigh_length, (robot.foot_at, 0.0, -robot.calf_length)

    def com_of(body: Body) -> Vector:
        return body.com[0], left * body.com[1], body.com[2]

    def joint(part: str, axis: Vector, bounds: tuple[float, float]) -> Joint:
        return Joint(name=f"{leg}_{part}_joint", axis=axis, range=bounds, armature=robot.armature)

    hip_com = (front * robot.hip.com[0], left * robot.hip.com[1], robot.hip.com[2])
    drive = f'material="metal" {LOOK}'
    return (
        Link(
            name=f"{leg}_hip",
            parent=base_name,
            pos=(front * robot.hip_at[0], left * robot.hip_at[1], 0.0),
            mass=robot.hip.mass,
            com=hip_com,
            inertia=robot.hip.inertia,
            joint=joint("hip", (1.0, 0.0, 0.0), hip),
            looks=(cylinder(0.045, (0.0, 0.0, 0.0), (0.0, left * 0.09, 0.0), drive),),
        ),
        Link(
            name=f"{leg}_thigh",
            parent=f"{leg}_hip",
            pos=(0.0, left * robot.thigh_beside, 0.0),
            mass=robot.thigh.mass,
            com=com_of(robot.thigh),
            inertia=robot.thigh.inertia,
            joint=joint("thigh", (0.0, 1.0, 0.0), front_thigh if front > 0 else rear_thigh),
            geoms=(capsule(0.017, (0.0, 0.0, -0.02), (0.0, 0.0, 0.02 - length), solid("shell"), f"{leg}_thigh"),),
        ),
        Link(
            name=f"{leg}_calf",
            parent=f"{leg}_thigh",
            pos=(0.0, 0.0, -length),
            mass=robot.calf.mass,
            com=com_of(robot.calf),
            inertia=robot.calf.inertia,
            joint=joint("calf", (0.0, 1.0, 0.0), calf),
            geoms=(capsule(0.011, (0.0, 0.0, -0.01), (foot[0], 0.0, 0.03 + foot[2]), solid("frame"), f"{leg}_calf"),),
        ),
        Link(
            name=f"{leg}_foot",
            parent=f"{leg}_calf",
            pos=foot,
            geoms=(sphere(robot.foot_radius, (0.0, 0.0, 0.0), solid("rubber"), f"{leg}_foot"),),
        ),
    )
