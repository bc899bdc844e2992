"""Unitree Go2 (15.2 kg) in primitive geoms.

Masses, centres of mass, kinematics and rotor inertia are those of MuJoCo Menagerie's ``unitree_go2`` (made from
Unitree's own description). Gains and torque limits are Isaac Lab's ``UNITREE_GO2_CFG``: kp 25, kd 0.5, 23.5 N m. Its
motor model, whose torque falls with speed, is an implicit PD drive with the same limit here.
"""

from __future__ import annotations

from ...links import scene_of
from ...robots import RobotSpec
from ...scene import Scene
from ..unitree import CAMERA, JOINTS, Body, Quadruped, contacts, links, mirrors

FOOT_RADIUS = 0.022
_GO2 = Quadruped(
    base=Body(mass=6.921, com=(0.021112, 0.0, -0.005366), inertia=(0.02448, 0.09809, 0.10703)),
    base_half=(0.1881, 0.04675, 0.057),
    hip=Body(mass=0.678, com=(-0.0054, 0.00194, -0.000105), inertia=(0.00048, 0.00088, 0.0006)),
    hip_at=(0.1934, 0.0465),
    thigh=Body(mass=1.152, com=(-0.00374, -0.0223, -0.0327), inertia=(0.00595, 0.00584, 0.00088)),
    thigh_beside=0.0955,
    calf=Body(mass=0.241352, com=(0.00629595, -0.000622121, -0.141417), inertia=(0.00149, 0.00146, 0.000053)),
    thigh_length=0.213,
    calf_length=0.213,
    foot_at=-0.002,
    foot_radius=FOOT_RADIUS,
    ranges=((-1.0472, 1.0472), (-1.5708, 3.4907), (-0.5236, 4.5379), (-2.7227, -0.83776)),
    armature=0.01,
)

SPEC = RobotSpec(
    name="unitree_go2",
    scene=lambda visual: _scene(visual),
    joint_names=JOINTS,
    default_joint_pos=(0.1, -0.1, 0.1, -0.1, 0.8, 0.8, 1.0, 1.0, -1.5, -1.5, -1.5, -1.5),
    init_height=0.4,
    base="base",
    stiffness=(25.0,) * 12,
    damping=(0.5,) * 12,
    effort_limits=(23.5,) * 12,
    actuator="implicit_pd",
    soft_limit_factor=0.9,
    contact_bodies=contacts("base"),
    mirrors=mirrors(),
)


def _scene(visual: bool) -> Scene:
    return scene_of(SPEC, links(_GO2), camera=CAMERA, visual=visual)
