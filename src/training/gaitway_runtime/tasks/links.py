"""Robots as trees of links: published numbers in, MJCF out. Standard library only.

Angles are in radians, lengths in metres, masses in kilograms. Only the ground is touched: no self-collision.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from .robots import RobotSpec, contact_sensor
from .scene import Scene

Vector = tuple[float, float, float]

LOOK = 'contype="0" conaffinity="0" mass="0" group="1"'
"""Attributes of a geom that is only seen."""
IMPRATIO = 10
"""Stiffness of friction over that of contact. At MuJoCo's 1 a standing robot's feet creep outwards; at 10 they nearly
hold, as PhysX's static friction does."""
FRICTION = 0.7
"""One Coulomb coefficient between Isaac Lab's effective static 0.8 and dynamic 0.6."""


def solid(material: str, friction: float = FRICTION) -> str:
    """Return the attributes of a colliding geom; masses come from the links.

    ``priority`` makes the robot's friction count: without it MuJoCo takes the larger of the two, the ground's.
    """
    return (
        f'material="{material}" friction="{friction} 0.005 0.0001" priority="1" condim="3" '
        'contype="0" conaffinity="1" mass="0"'
    )


@dataclass(frozen=True, kw_only=True)
class Joint:
    """What a link may do against its parent."""

    name: str
    axis: Vector
    """In the link's frame."""
    range: tuple[float, float]
    """[rad]."""
    armature: float = 0.0
    """Inertia of the motor's rotor at the joint [kg m^2]."""
    damping: float = 0.0
    """Passive damping [N m s/rad]."""
    friction_loss: float = 0.0
    """Dry friction [N m]."""
    pos: Vector = (0.0, 0.0, 0.0)
    """Where it turns, in the link's frame [m]."""
    kind: str = "hinge"
    """``hinge`` or ``slide``, whose range is in [m]."""


@dataclass(frozen=True)
class Drive:
    """One kind of driven joint, as a robot's description lists them."""

    stiffness: float
    """[N m/rad]."""
    damping: float
    """[N m s/rad]."""
    effort: float
    """Largest torque [N m]."""
    armature: float
    """Inertia of the rotor at the joint [kg m^2]."""
    pos: float = 0.0
    """Default position, on the left where the sides differ [rad]."""


@dataclass(frozen=True, kw_only=True)
class Link:
    """A rigid body."""

    name: str
    parent: str | None
    """None for the base, which floats, or is fixed to the world."""
    pos: Vector
    """Origin in the parent's frame [m]."""
    rpy: Vector = (0.0, 0.0, 0.0)
    """Orientation in the parent's frame, URDF's roll, pitch and yaw [rad]."""
    mass: float = 0.0
    """[kg]; a link without mass is welded to its parent, whose mass includes its own."""
    com: Vector = (0.0, 0.0, 0.0)
    """Centre of mass [m]."""
    inertia: tuple[float, ...] = (0.0, 0.0, 0.0)
    """About the centre of mass and the link's axes [kg m^2]: xx, yy, zz and, where they count, xy, xz, yz."""
    joint: Joint | None = None
    geoms: tuple[str, ...] = ()
    """MJCF of the geoms that touch the ground."""
    looks: tuple[str, ...] = ()
    """MJCF of geoms that are only seen."""


def sphere(radius: float, pos: Vector, attributes: str, name: str = "") -> str:
    """Return a sphere."""
    return f'<geom{_named(name)} type="sphere" size="{radius:g}" pos="{_text(pos)}" {attributes}/>'


def capsule(radius: float, start: Vector, end: Vector, attributes: str, name: str = "") -> str:
    """Return a capsule between two points."""
    ends = f"{_text(start)} {_text(end)}"
    return f'<geom{_named(name)} type="capsule" size="{radius:g}" fromto="{ends}" {attributes}/>'


def box(half: Vector, pos: Vector, attributes: str, name: str = "") -> str:
    """Return a box of given half sizes along the link's axes."""
    return f'<geom{_named(name)} type="box" size="{_text(half)}" pos="{_text(pos)}" {attributes}/>'


def cylinder(radius: float, start: Vector, end: Vector, attributes: str) -> str:
    """Return a cylinder between two points."""
    return f'<geom type="cylinder" size="{radius:g}" fromto="{_text(start)} {_text(end)}" {attributes}/>'


def right_side(left: Link) -> Link:
    """Return the right-hand partner of a link whose names contain ``left``, without its geoms."""
    diagonal, products = left.inertia[:3], left.inertia[3:]
    roll, pitch, yaw = left.rpy
    return replace(
        left,
        name=left.name.replace("left", "right"),
        parent=left.parent.replace("left", "right") if left.parent else None,
        pos=across(left.pos),
        rpy=(-roll, pitch, -yaw),
        com=across(left.com),
        inertia=(*diagonal, *(value * sign for value, sign in zip(products, (-1, 1, -1), strict=False))),
        joint=_right_joint(left.joint) if left.joint else None,
        geoms=(),
        looks=(),
    )


def _right_joint(left: Joint) -> Joint:
    """Return the right-hand partner of a joint about the x, y or z axis; only one about y turns the same way."""
    low, high = left.range
    about_y = left.axis[1] != 0.0
    return replace(left, name=left.name.replace("left", "right"), range=(low, high) if about_y else (-high, -low))


def across(point: Vector) -> Vector:
    """Return a point's mirror image on the other side of the robot."""
    return (point[0], -point[1], point[2])


def scene_of(spec: RobotSpec, links: Sequence[Link], *, camera: str, visual: bool) -> Scene:
    """Return the model's pieces of a robot whose joints are driven by position actuators.

    Args:
        spec: The robot.
        links: Its links; a parent comes before its children.
        camera: MJCF of the base's camera ``track``.
        visual: Whether to add geoms that are only seen.
    """
    feet = spec.contact_bodies.get("feet", ())
    contacts = [
        f'    <contact name="{contact_sensor(body)}" body1="{body}" num="1" reduce="netforce" data="force"/>'
        for bodies in spec.contact_bodies.values()
        for body in bodies
    ]
    return Scene(
        name=spec.name,
        bodies=_body(links[0], links, spec, camera, visual),
        actuators=position_actuators(spec),
        sensors="\n".join((*contacts, *map(foot_sensors, feet))),
        options=f'iterations="10" ls_iterations="10" impratio="{IMPRATIO}"',
    )


def position_actuators(spec: RobotSpec) -> str:
    """Return MJCF of an implicit PD drive for each joint, in the policy's order."""
    lines = []
    for joint, stiffness, damping, effort in zip(
        spec.joint_names, spec.stiffness, spec.damping, spec.effort_limits, strict=True
    ):
        lines.append(
            f'    <position name="{joint}" joint="{joint}" kp="{stiffness:g}" kv="{damping:g}" inheritrange="0" '
            f'forcerange="{-effort:g} {effort:g}"/>'
        )
    return "\n".join(lines)


def _body(link: Link, links: Sequence[Link], spec: RobotSpec, camera: str, visual: bool, depth: int = 0) -> str:
    pad = "  " * (depth + 2)
    pos = (0.0, 0.0, spec.init_height) if link.parent is None and spec.base else link.pos
    turned = _turned(link.rpy)
    parts = [f'<body name="{link.name}" pos="{_text(pos)}"{turned}>']
    if link.parent is None:
        parts += ['  <freejoint name="root"/>'] if spec.base else []
        parts += [f"  {camera}"]
    if link.joint:
        parts.append(f"  {_joint(link.joint)}")
    if link.mass:
        kind = "diaginertia" if len(link.inertia) == 3 else "fullinertia"
        parts.append(f'  <inertial pos="{_text(link.com)}" mass="{link.mass!r}" {kind}="{_text(link.inertia)}"/>')
    parts += [f"  {geom}" for geom in (*link.geoms, *(link.looks if visual else ()))]
    children = [child for child in links if child.parent == link.name]
    inner = [_body(child, links, spec, camera, visual, depth + 1) for child in children]
    return "\n".join([*(pad + part for part in parts), *inner, f"{pad}</body>"])


def _turned(rpy: Vector) -> str:
    """Return a body's orientation; MuJoCo's Euler angles are URDF's where only one of them is not zero."""
    if sum(angle != 0.0 for angle in rpy) < 2:
        return f' euler="{_text(rpy)}"' if any(rpy) else ""
    (cr, sr), (cp, sp), (cy, sy) = ((math.cos(angle / 2), math.sin(angle / 2)) for angle in rpy)
    quat = (
        cr * cp * cy + sr * sp * sy,
        sr * cp * cy - cr * sp * sy,
        cr * sp * cy + sr * cp * sy,
        cr * cp * sy - sr * sp * cy,
    )
    return f' quat="{_text(quat)}"'


def _joint(joint: Joint) -> str:
    kind = f' type="{joint.kind}"' if joint.kind != "hinge" else ""
    place = f' pos="{_text(joint.pos)}"' if any(joint.pos) else ""
    extra = f' damping="{joint.damping:g}"' if joint.damping else ""
    extra += f' frictionloss="{joint.friction_loss:g}"' if joint.friction_loss else ""
    low, high = joint.range
    return (
        f'<joint name="{joint.name}"{kind}{place} axis="{_text(joint.axis)}" range="{low!r} {high!r}" '
        f'armature="{joint.armature:g}"{extra}/>'
    )


def foot_sensors(foot: str) -> str:
    """Return the sensors of a foot's position and velocity."""
    return (
        f'    <framepos name="position_{foot}" objtype="xbody" objname="{foot}"/>'
        f'<framelinvel name="velocity_{foot}" objtype="xbody" objname="{foot}"/>'
    )


def _named(name: str) -> str:
    return f' name="{name}"' if name else ""


def _text(values: Iterable[float]) -> str:
    return " ".join(f"{value:.9g}" for value in values)
