"""Unitree Go1 (12.7 kg) in primitive geoms.

Masses, centres of mass and kinematics are those of MuJoCo Menagerie's ``unitree_go1`` (made from Unitree's own
description), its principal inertia about the nearest axes. Isaac Lab drives the joints with a network that is not
public; the stand-in is an implicit PD drive with A1's gains and Go1's 23.7 N m. The rotor inertia is Menagerie's.
"""

from __future__ import annotations

from ...links import scene_of
from ...robots import RobotSpec
from ...scene import Scene
from ..unitree import CAMERA, JOINTS, Body, Quadruped, contacts, links, mirrors

FOOT_RADIUS = 0.023
_GO1 = Quadruped(
    base=Body(mass=5.204, com=(0.0223, 0.002, -0.0005), inertia=(0.0168128, 0.0630096, 0.0716547)),
    base_half=(0.1335, 0.05, 0.057),
    hip=Body(mass=0.68, com=(-0.0049166, -0.00762615, -0.00008865), inertia=(0.000399, 0.000734, 0.000468)),
    hip_at=(0.1881, 0.04675),
    thigh=Body(mass=1.009, com=(-0.00304722, -0.019315, -0.0305004), inertia=(0.004609, 0.004787, 0.000709)),
    thigh_beside=0.08,
    calf=Body(mass=0.195862, com=(0.00429862, -0.000976676, -0.146197), inertia=(0.001485, 0.001498, 0.0000358)),
    thigh_length=0.213,
    calf_length=0.213,
    ranges=((-0.863, 0.863), (-0.686, 4.501), (-0.686, 4.501), (-2.818, -0.888)),
    foot_radius=FOOT_RADIUS,
    armature=0.01,
)

SPEC = RobotSpec(
    name="unitree_go1",
    scene=lambda visual: _scene(visual),
    joint_names=JOINTS,
    default_joint_pos=(0.1, -0.1, 0.1, -0.1, 0.8, 0.8, 1.0, 1.0, -1.5, -1.5, -1.5, -1.5),
    init_height=0.4,
    base="trunk",
    stiffness=(25.0,) * 12,
    damping=(0.5,) * 12,
    effort_limits=(23.7,) * 12,
    actuator="implicit_pd",
    soft_limit_factor=0.9,
    contact_bodies=contacts("trunk"),
    mirrors=mirrors(),
)


def _scene(visual: bool) -> Scene:
    return scene_of(SPEC, links(_GO1, "trunk"), camera=CAMERA, visual=visual)
