"""Isaac Lab's ant: a sphere on four two-jointed legs. Numbers: IsaacGymEnvs' ``nv_ant.xml``."""

from __future__ import annotations

import math

from ..robots import RobotSpec
from ..scene import Scene

LEGS: tuple[tuple[str, float, float, float], ...] = (
    ("front_left", 1.0, 1.0, 1.0),
    ("front_right", -1.0, 1.0, -1.0),
    ("left_back", -1.0, -1.0, -1.0),
    ("right_back", 1.0, -1.0, 1.0),
)
"""Name, signs of x and y of the hip, sign of the foot joint's range."""

SPEC = RobotSpec(
    name="ant",
    scene=lambda visual: _scene(visual),
    joint_names=(*(f"{leg}_leg" for leg, *_ in LEGS), *(f"{leg}_foot" for leg, *_ in LEGS)),
    default_joint_pos=(*(0.0 for _ in LEGS), *(sign * math.pi / 4 for *_, sign in LEGS)),
    init_height=0.5,
    base="torso",
    wrench_bodies=tuple(f"{leg}_foot" for leg, *_ in LEGS),
)

_GEOM = 'density="5" friction="1 0.005 0.0001" priority="1" contype="0" conaffinity="1"'
"""Links touch the ground only: Isaac's ant has no self-collision."""


def _scene(visual: bool) -> Scene:
    """Return the model's pieces."""
    eye = (
        '<geom name="eye" type="sphere" size="0.06" pos="0.22 0 0.08" material="rubber" contype="0" conaffinity="0" '
        'mass="0"/>'
    )
    legs = "\n".join(_leg(*leg) for leg in LEGS)
    bodies = f"""    <body name="torso" pos="0 0 {SPEC.init_height}">
      <freejoint name="root"/>
      <camera name="track" mode="trackcom" pos="-1.2 -3.2 1.6" xyaxes="1 -0.35 0 0.13 0.38 1"/>
      <geom name="torso" type="sphere" size="0.25" material="shell" {_GEOM}/>
      {eye if visual else ""}
{legs}
    </body>"""
    actuators = "\n".join(f'    <motor name="{joint}" joint="{joint}"/>' for joint in SPEC.joint_names)
    return Scene(
        name=SPEC.name,
        bodies=bodies,
        actuators=actuators,
        sensors="\n".join(_wrench_sensors(body) for body in SPEC.wrench_bodies),
    )


def _leg(name: str, sx: float, sy: float, sign: float) -> str:
    hip, ankle = 0.2, 0.4
    low, high = sorted((sign * math.radians(30), sign * math.radians(100)))
    reach = f"{sx * hip:g} {sy * hip:g} 0"
    swing = math.radians(40)
    # A foot's axis lies in the ground plane, square to its leg: (-1, 1, 0) for legs along (1, 1) and (-1, -1).
    return f"""      <geom name="{name}_hip" type="capsule" size="0.08" fromto="0 0 0 {reach}" {_GEOM}/>
      <body name="{name}_leg" pos="{reach}">
        <joint name="{name}_leg" type="hinge" axis="0 0 1" range="{-swing!r} {swing!r}" armature="0.01"/>
        <geom name="{name}_leg" type="capsule" size="0.08" fromto="0 0 0 {reach}" material="metal" {_GEOM}/>
        <body name="{name}_foot" pos="{reach}">
          <joint name="{name}_foot" type="hinge" axis="{-sx * sy:g} 1 0" range="{low!r} {high!r}" armature="0.01"/>
          <geom name="{name}_foot" type="capsule" size="0.08" fromto="0 0 0 {sx * ankle:g} {sy * ankle:g} 0"
                material="frame" {_GEOM}/>
          <site name="{name}_foot"/>
        </body>
      </body>"""


def _wrench_sensors(body: str) -> str:
    return f'    <force name="force_{body}" site="{body}"/><torque name="torque_{body}" site="{body}"/>'
