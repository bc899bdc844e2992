"""Isaac Lab's humanoid: 21 joints driven by torques. Numbers: IsaacGymEnvs' ``nv_humanoid.xml`` and ``HUMANOID_CFG``.

Masses are those of the geoms at 1000 kg/m^3. Isaac Lab's drives pull every joint to zero beside the policy's torque:
here that is the joints' own stiffness and damping. Links touch the ground only; Isaac Lab's also touch each other.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from ..links import Vector, across, capsule, sphere
from ..robots import RobotSpec
from ..scene import Scene

JOINTS = (
    *("lower_waist:0", "lower_waist:1", "right_upper_arm:0", "right_upper_arm:2"),
    *("left_upper_arm:0", "left_upper_arm:2", "pelvis", "right_lower_arm", "left_lower_arm"),
    *("right_thigh:0", "right_thigh:1", "right_thigh:2", "left_thigh:0", "left_thigh:1", "left_thigh:2"),
    *("right_shin", "left_shin", "right_foot:0", "right_foot:1", "left_foot:0", "left_foot:1"),
)
"""Isaac Lab's names and order. ``thigh:0``, ``:1`` and ``:2`` turn about x, y and z."""
FEET = ("left_foot", "right_foot")
ARMATURE = 0.01
"""[kg m^2]."""


@dataclass(frozen=True)
class _Drive:
    """One kind of joint: torque of an action of 1 [N m], stiffness [N m/rad], damping [N m s/rad]."""

    torque: float
    stiffness: float
    damping: float


_DRIVES = {
    "lower_waist:0": _Drive(67.5, 20.0, 5.0),
    "lower_waist:1": _Drive(67.5, 20.0, 5.0),
    "upper_arm:0": _Drive(67.5, 10.0, 5.0),
    "upper_arm:2": _Drive(67.5, 10.0, 5.0),
    "pelvis": _Drive(67.5, 10.0, 5.0),
    "lower_arm": _Drive(45.0, 2.0, 1.0),
    "thigh:0": _Drive(45.0, 10.0, 5.0),
    "thigh:1": _Drive(135.0, 20.0, 5.0),
    "thigh:2": _Drive(45.0, 10.0, 5.0),
    "shin": _Drive(90.0, 5.0, 0.1),
    "foot:0": _Drive(22.5, 2.0, 1.0),
    "foot:1": _Drive(22.5, 2.0, 1.0),
}


def _drive(joint: str) -> _Drive:
    return _DRIVES[joint.removeprefix("left_").removeprefix("right_")]


TORQUES = tuple(_drive(joint).torque for joint in JOINTS)
"""Of an action of 1, by joint [N m]."""

SPEC = RobotSpec(
    name="humanoid",
    scene=lambda visual: _scene(visual),
    joint_names=JOINTS,
    default_joint_pos=(0.0,) * len(JOINTS),
    init_height=1.34,
    base="torso",
    wrench_bodies=FEET,
)

_GEOM = 'density="1000" friction="1 0.005 0.0001" priority="1" contype="0" conaffinity="1"'


@dataclass(frozen=True, kw_only=True)
class _Hinge:
    name: str
    axis: Vector
    degrees: tuple[float, float]
    pos: Vector = (0.0, 0.0, 0.0)


@dataclass(frozen=True, kw_only=True)
class _Part:
    """A body of the trunk or of the right side; geoms are a radius, two ends [m] and a material."""

    name: str
    parent: str
    pos: Vector
    geoms: tuple[tuple[float, Vector, Vector, str], ...]
    hinges: tuple[_Hinge, ...] = ()
    tilted: bool = False
    """Whether it is tilted by 0.004 rad against its parent, as the trunk's parts are."""


_X, _Y, _Z = (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)
_O = (0.0, 0.0, 0.0)
_WAIST, _ANKLE = (0.0, 0.0, 0.065), (0.0, 0.0, 0.08)
_TRUNK = (
    _Part(
        name="lower_waist",
        parent="torso",
        pos=(-0.01, 0.0, -0.26),
        tilted=True,
        geoms=((0.06, (0.0, -0.06, 0.0), (0.0, 0.06, 0.0), "shell"),),
        hinges=(
            _Hinge(name="lower_waist:0", axis=_Z, degrees=(-45, 45), pos=_WAIST),
            _Hinge(name="lower_waist:1", axis=_Y, degrees=(-75, 30), pos=_WAIST),
        ),
    ),
    _Part(
        name="pelvis",
        parent="lower_waist",
        pos=(0.0, 0.0, -0.165),
        tilted=True,
        geoms=((0.09, (-0.02, -0.07, 0.0), (-0.02, 0.07, 0.0), "frame"),),
        hinges=(_Hinge(name="pelvis", axis=_X, degrees=(-35, 35), pos=(0.0, 0.0, 0.1)),),
    ),
)
_RIGHT = (
    _Part(
        name="right_thigh",
        parent="pelvis",
        pos=(0.0, -0.1, -0.04),
        geoms=((0.06, _O, (0.0, 0.01, -0.34), "shell"),),
        hinges=(
            _Hinge(name="right_thigh:0", axis=_X, degrees=(-45, 15)),
            _Hinge(name="right_thigh:2", axis=_Z, degrees=(-60, 35)),
            _Hinge(name="right_thigh:1", axis=_Y, degrees=(-120, 45)),
        ),
    ),
    _Part(
        name="right_shin",
        parent="right_thigh",
        pos=(0.0, 0.01, -0.403),
        geoms=((0.049, _O, (0.0, 0.0, -0.3), "metal"),),
        hinges=(_Hinge(name="right_shin", axis=(0.0, -1.0, 0.0), degrees=(-160, 2), pos=(0.0, 0.0, 0.02)),),
    ),
    _Part(
        name="right_foot",
        parent="right_shin",
        pos=(0.0, 0.0, -0.39),
        geoms=(
            (0.027, (-0.07, -0.02, 0.0), (0.14, -0.04, 0.0), "rubber"),
            (0.027, (-0.07, 0.0, 0.0), (0.14, 0.02, 0.0), "rubber"),
        ),
        hinges=(
            _Hinge(name="right_foot:0", axis=_Y, degrees=(-50, 50), pos=_ANKLE),
            _Hinge(name="right_foot:1", axis=(1.0, 0.0, 0.5), degrees=(-50, 50), pos=_ANKLE),
        ),
    ),
    _Part(
        name="right_upper_arm",
        parent="torso",
        pos=(0.0, -0.17, 0.06),
        geoms=((0.04, _O, (0.16, -0.16, -0.16), "shell"),),
        hinges=(
            _Hinge(name="right_upper_arm:0", axis=(2.0, 1.0, 1.0), degrees=(-90, 70)),
            _Hinge(name="right_upper_arm:2", axis=(0.0, -1.0, 1.0), degrees=(-90, 70)),
        ),
    ),
    _Part(
        name="right_lower_arm",
        parent="right_upper_arm",
        pos=(0.18, -0.18, -0.18),
        geoms=(
            (0.031, (0.01, 0.01, 0.01), (0.17, 0.17, 0.17), "metal"),
            (0.04, (0.18, 0.18, 0.18), (0.18, 0.18, 0.18), "frame"),
        ),
        hinges=(_Hinge(name="right_lower_arm", axis=(0.0, -1.0, 1.0), degrees=(-90, 50)),),
    ),
)


def _left(part: _Part) -> _Part:
    """Return the partner of a part of the right side: an axis is a rotation's, so that only y keeps its sign."""
    return _Part(
        name=part.name.replace("right", "left"),
        parent=part.parent.replace("right", "left"),
        pos=across(part.pos),
        geoms=tuple((radius, across(start), across(end), look) for radius, start, end, look in part.geoms),
        hinges=tuple(
            _Hinge(
                name=hinge.name.replace("right", "left"),
                axis=(-hinge.axis[0], hinge.axis[1], -hinge.axis[2]),
                degrees=hinge.degrees,
                pos=across(hinge.pos),
            )
            for hinge in part.hinges
        ),
    )


_PARTS = (*_TRUNK, *_RIGHT, *map(_left, _RIGHT))


def _scene(visual: bool) -> Scene:
    """Return the model's pieces."""
    limbs = "\n".join(_body(part) for part in _PARTS if part.parent == "torso")
    visor = (
        '<geom name="visor" type="box" size="0.02 0.06 0.02" pos="0.08 0 0.2" material="metal" mass="0" contype="0" '
        'conaffinity="0"/>'
    )
    bodies = f"""    <body name="torso" pos="0 0 {SPEC.init_height}">
      <freejoint name="root"/>
      <camera name="track" mode="trackcom" pos="-1 -3.4 0.6" xyaxes="1 -0.3 0 0.05 0.15 1"/>
      {_geom(0.07, (0.0, -0.07, 0.0), (0.0, 0.07, 0.0), "shell")}
      {_geom(0.06, (-0.01, -0.06, -0.12), (-0.01, 0.06, -0.12), "shell")}
      {_geom(0.09, (0.0, 0.0, 0.19), (0.0, 0.0, 0.19), "frame")}
      {visor if visual else ""}
{limbs}
    </body>"""
    return Scene(
        name=SPEC.name,
        bodies=bodies,
        actuators="\n".join(f'    <motor name="{joint}" joint="{joint}"/>' for joint in SPEC.joint_names),
        sensors="\n".join(
            f'    <force name="force_{foot}" site="{foot}"/><torque name="torque_{foot}" site="{foot}"/>'
            for foot in FEET
        ),
    )


def _body(part: _Part) -> str:
    turned = ' quat="1 0 -0.002 0"' if part.tilted else ""
    lines = [f'<body name="{part.name}" pos="{_text(part.pos)}"{turned}>']
    lines += [_joint(hinge) for hinge in part.hinges]
    lines += [_geom(*geom) for geom in part.geoms]
    if part.name in FEET:
        lines.append(f'<site name="{part.name}" pos="{_text(_ANKLE)}"/>')
    lines += [_body(child) for child in _PARTS if child.parent == part.name]
    return "\n".join((*lines, "</body>"))


def _joint(hinge: _Hinge) -> str:
    drive = _drive(hinge.name)
    low, high = (math.radians(angle) for angle in hinge.degrees)
    return (
        f'<joint name="{hinge.name}" pos="{_text(hinge.pos)}" axis="{_text(hinge.axis)}" range="{low!r} {high!r}" '
        f'armature="{ARMATURE}" stiffness="{drive.stiffness:g}" damping="{drive.damping:g}"/>'
    )


def _geom(radius: float, start: Vector, end: Vector, material: str) -> str:
    attributes = f'material="{material}" {_GEOM}'
    return sphere(radius, start, attributes) if start == end else capsule(radius, start, end, attributes)


def _text(values: Vector) -> str:
    return " ".join(f"{value:.9g}" for value in values)
