"""Unitree A1 (12.5 kg) in primitive geoms.

Masses, centres of mass and kinematics are those of MuJoCo Menagerie's ``unitree_a1`` (made from Unitree's own
description), its principal inertia about the nearest axes. Gains and torque limit are Isaac Lab's ``UNITREE_A1_CFG``:
kp 25, kd 0.5, 33.5 N m. Isaac Lab names no rotor inertia; 0.01 kg m^2 is Menagerie's.
"""

from __future__ import annotations

from ...links import scene_of
from ...robots import RobotSpec
from ...scene import Scene
from ..unitree import CAMERA, JOINTS, Body, Quadruped, contacts, links, mirrors

FOOT_RADIUS = 0.02
_A1 = Quadruped(
    base=Body(mass=4.713, com=(0.0, 0.0041, -0.0005), inertia=(0.0158533, 0.0377999, 0.0456542)),
    base_half=(0.1335, 0.05, 0.057),
    hip=Body(mass=0.696, com=(-0.003311, 0.000635, 0.000031), inertia=(0.000469, 0.000808, 0.000553)),
    hip_at=(0.183, 0.047),
    thigh=Body(mass=1.013, com=(-0.003237, -0.022327, -0.027326), inertia=(0.005557, 0.005139, 0.001339)),
    thigh_beside=0.08505,
    calf=Body(mass=0.226, com=(0.00472659, 0.0, -0.131975), inertia=(0.003403, 0.003394, 0.0000355)),
    thigh_length=0.2,
    calf_length=0.2,
    ranges=((-0.802851, 0.802851), (-1.0472, 4.18879), (-1.0472, 4.18879), (-2.69653, -0.916298)),
    foot_radius=FOOT_RADIUS,
    armature=0.01,
)

SPEC = RobotSpec(
    name="unitree_a1",
    scene=lambda visual: _scene(visual),
    joint_names=JOINTS,
    default_joint_pos=(0.1, -0.1, 0.1, -0.1, 0.8, 0.8, 1.0, 1.0, -1.5, -1.5, -1.5, -1.5),
    init_height=0.42,
    base="trunk",
    stiffness=(25.0,) * 12,
    damping=(0.5,) * 12,
    effort_limits=(33.5,) * 12,
    actuator="implicit_pd",
    soft_limit_factor=0.9,
    contact_bodies=contacts("trunk"),
    mirrors=mirrors(),
)


def _scene(visual: bool) -> Scene:
    return scene_of(SPEC, links(_A1, "trunk"), camera=CAMERA, visual=visual)
