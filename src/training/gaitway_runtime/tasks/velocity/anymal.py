"""Joints, drives, symmetries and build that the generations of ANYmal share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ..links import LOOK, Joint, Link, Vector, box, capsule, cylinder, scene_of, solid, sphere
from ..mirrors import mirror_by_names
from ..robots import RobotSpec
from ..scene import Scene

LEGS: tuple[tuple[str, int, int], ...] = (("LF", 1, 1), ("LH", -1, 1), ("RF", 1, -1), ("RH", -1, -1))
"""Name, +1 for front, +1 for left; in Isaac Lab's order."""

STIFFNESS, DAMPING, ARMATURE, EFFORT_LIMIT = 150.0, 5.0, 0.06, 80.0
JOINTS = tuple(f"{leg}_{joint}" for joint in ("HAA", "HFE", "KFE") for leg, *_ in LEGS)
FEET = tuple(f"{leg}_FOOT" for leg, *_ in LEGS)
_SIDES = {"LF": "RF", "RF": "LF", "LH": "RH", "RH": "LH"}
_ENDS = {"LF": "LH", "LH": "LF", "RF": "RH", "RH": "RF"}
_CORNERS = {"LF": "RH", "RH": "LF", "RF": "LH", "LH": "RF"}
_MIRRORS = (
    mirror_by_names("left-right", (1, -1, 1), JOINTS, FEET, swaps=_SIDES, flipped=("HAA",)),
    mirror_by_names("front-back", (-1, 1, 1), JOINTS, FEET, swaps=_ENDS, flipped=("HFE", "KFE")),
    mirror_by_names("both", (-1, -1, 1), JOINTS, FEET, swaps=_CORNERS, flipped=("HAA", "HFE", "KFE")),
)


@dataclass(frozen=True, kw_only=True)
class LegBody:
    """A body of the left front leg; the others follow by symmetry."""

    mass: float
    """[kg]."""
    com: Vector
    """[m]."""
    inertia: tuple[float, ...]
    """About the centre of mass: xx, yy, zz and, where they count, xy, xz, yz [kg m^2]."""


@dataclass(frozen=True, kw_only=True)
class Anymal:
    """Numbers of one generation. Link frames are parallel to the base's; lengths in [m]."""

    base_mass: float
    base_com: Vector
    base_inertia: tuple[float, ...]
    base_half: Vector
    hip: LegBody
    hip_at: Vector
    thigh: LegBody
    thigh_at: Vector
    shank: LegBody
    shank_at: Vector
    foot_at: Vector
    """Centre of the foot's sphere, in the shank's frame."""
    sole: float
    """Radius of the foot's sphere."""
    haa_range: tuple[float, float]
    """Of the left legs' hip abduction [rad]."""


def spec_of(name: str, scene: Callable[[bool], Scene]) -> RobotSpec:
    """Return a generation's description: joints, pose, drives and symmetries are the same for each."""
    return RobotSpec(
        name=name,
        scene=scene,
        joint_names=JOINTS,
        default_joint_pos=(0.0, 0.0, 0.0, 0.0, 0.4, -0.4, 0.4, -0.4, -0.8, 0.8, -0.8, 0.8),
        init_height=0.6,
        base="base",
        stiffness=(STIFFNESS,) * 12,
        damping=(DAMPING,) * 12,
        effort_limits=(EFFORT_LIMIT,) * 12,
        actuator="implicit_pd",
        soft_limit_factor=0.95,
        contact_bodies={
            "base": ("base",),
            "thighs": tuple(f"{leg}_THIGH" for leg, *_ in LEGS),
            "feet": FEET,
        },
        mirrors=_MIRRORS,
    )


def generation(name: str, robot: Anymal) -> RobotSpec:
    """Return the description of a generation that is made of links."""
    spec = spec_of(name, lambda visual: _scene(spec, robot, visual))
    return spec


def _scene(spec: RobotSpec, robot: Anymal, visual: bool) -> Scene:
    camera = '<camera name="track" mode="trackcom" pos="0.6 -2.6 0.9" xyaxes="1 0.23 0 -0.06 0.25 1"/>'
    x, y, z = robot.base_half
    base = Link(
        name="base",
        parent=None,
        pos=(0.0, 0.0, 0.0),
        mass=robot.base_mass,
        com=robot.base_com,
        inertia=robot.base_inertia,
        geoms=(box(robot.base_half, (0.0, 0.0, 0.0), solid("shell"), "base"),),
        looks=(box((0.6 * x, 0.95 * y, 0.05), (0.0, 0.0, z), f'material="frame" {LOOK}'),),
    )
    legs = [link for leg in LEGS for link in _leg(robot, *leg)]
    return scene_of(spec, (base, *legs), camera=camera, visual=visual)


def _leg(robot: Anymal, leg: str, front: int, left: int) -> tuple[Link, ...]:
    def at(point: Vector) -> Vector:
        return (front * point[0], left * point[1], point[2])

    def link(name: str, parent: str, pos: Vector, body: LegBody, joint: Joint, *geoms: str, look: str) -> Link:
        products = (value * sign for value, sign in zip(body.inertia[3:], (front * left, front, left), strict=False))
        return Link(
            name=f"{leg}_{name}",
            parent=parent,
            pos=at(pos),
            mass=body.mass,
            com=at(body.com),
            inertia=(*body.inertia[:3], *products),
            joint=joint,
            geoms=geoms,
            looks=(look,),
        )

    low, high = robot.haa_range
    haa = Joint(name=f"{leg}_HAA", axis=(1.0, 0.0, 0.0), range=(low, high) if left > 0 else (-high, -low))
    turn = (-9.42478, 9.42478)
    hfe, kfe = (Joint(name=f"{leg}_{part}", axis=(0.0, 1.0, 0.0), range=turn) for part in ("HFE", "KFE"))
    haa, hfe, kfe = (_with_rotor(joint) for joint in (haa, hfe, kfe))
    beside, foot = 0.6 * robot.shank_at[1], robot.foot_at
    bone = capsule(0.04, at((0.0, beside, -0.02)), at((0.0, beside, robot.shank_at[2])), solid("frame"), f"{leg}_THIGH")
    drive = f'material="metal" {LOOK}'
    return (
        link(
            *("HIP", "base", robot.hip_at, robot.hip, haa),
            look=cylinder(0.05, at((0.0, 0.0, 0.0)), at((robot.thigh_at[0], 0.0, 0.0)), drive),
        ),
        link(
            *("THIGH", f"{leg}_HIP", robot.thigh_at, robot.thigh, hfe, bone),
            look=cylinder(0.06, at((0.0, -0.03, 0.0)), at((0.0, 0.08, 0.0)), drive),
        ),
        link(
            *("SHANK", f"{leg}_THIGH", robot.shank_at, robot.shank, kfe),
            look=cylinder(0.055, at((0.0, -0.06, 0.0)), at((0.0, 0.02, 0.0)), drive),
        ),
        Link(
            name=f"{leg}_FOOT",
            parent=f"{leg}_SHANK",
            pos=at(foot),
            geoms=(
                capsule(0.0175, (0.0, 0.0, -0.03 - foot[2]), (0.0, 0.0, 0.02), solid("metal"), f"{leg}_SHIN"),
                sphere(robot.sole, (0.0, 0.0, 0.0), solid("rubber"), f"{leg}_FOOT"),
            ),
        ),
    )


def _with_rotor(joint: Joint) -> Joint:
    return Joint(name=joint.name, axis=joint.axis, range=joint.range, armature=ARMATURE)
