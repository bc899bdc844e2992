"""Unitree H1 (51.4 kg) in primitive geoms.

Kinematics, masses and centres of mass are those of MuJoCo Menagerie's ``unitree_h1``, which has them from Unitree's
older description, as Isaac Lab's model does. Gains and torque limits are Isaac Lab's ``H1_CFG``. Isaac Lab names no
rotor inertia; Menagerie's 0.1 kg m^2 stands at the large drives, less at the small ones.
"""

from __future__ import annotations

from ...links import LOOK, Drive, Joint, Link, Vector, box, capsule, scene_of, solid, sphere
from ...mirrors import mirror_by_names
from ...robots import RobotSpec
from ...scene import Scene

JOINTS = (
    *("left_hip_yaw", "right_hip_yaw", "torso", "left_hip_roll", "right_hip_roll"),
    *("left_shoulder_pitch", "right_shoulder_pitch", "left_hip_pitch", "right_hip_pitch"),
    *("left_shoulder_roll", "right_shoulder_roll", "left_knee", "right_knee"),
    *("left_shoulder_yaw", "right_shoulder_yaw", "left_ankle", "right_ankle", "left_elbow", "right_elbow"),
)
"""Breadth first, as Isaac Lab."""
FEET = ("left_ankle_link", "right_ankle_link")
SOLE = 0.07
"""Below the ankle [m]."""


_DRIVES = {
    "hip_yaw": Drive(150.0, 5.0, 300.0, 0.1),
    "hip_roll": Drive(150.0, 5.0, 300.0, 0.1),
    "hip_pitch": Drive(200.0, 5.0, 300.0, 0.1, -0.28),
    "knee": Drive(200.0, 5.0, 300.0, 0.1, 0.79),
    "ankle": Drive(20.0, 4.0, 100.0, 0.03, -0.52),
    "torso": Drive(200.0, 5.0, 300.0, 0.1),
    "shoulder_pitch": Drive(40.0, 10.0, 300.0, 0.03, 0.28),
    "shoulder_roll": Drive(40.0, 10.0, 300.0, 0.03),
    "shoulder_yaw": Drive(40.0, 10.0, 300.0, 0.03),
    "elbow": Drive(40.0, 10.0, 300.0, 0.03, 0.52),
}


def _drive(joint: str) -> Drive:
    return _DRIVES[joint.removeprefix("left_").removeprefix("right_")]


SPEC = RobotSpec(
    name="unitree_h1",
    scene=lambda visual: _scene(visual),
    joint_names=JOINTS,
    default_joint_pos=tuple(_drive(joint).pos for joint in JOINTS),
    init_height=1.05,
    base="pelvis",
    stiffness=tuple(_drive(joint).stiffness for joint in JOINTS),
    damping=tuple(_drive(joint).damping for joint in JOINTS),
    effort_limits=tuple(_drive(joint).effort for joint in JOINTS),
    actuator="implicit_pd",
    soft_limit_factor=0.9,
    scan_joint="torso",
    contact_bodies={"base": ("torso_link",), "feet": FEET},
    mirrors=(
        mirror_by_names(
            "left-right",
            (1, -1, 1),
            JOINTS,
            FEET,
            swaps={"left": "right", "right": "left"},
            flipped=("yaw", "roll", "torso"),
        ),
    ),
)


def _scene(visual: bool) -> Scene:
    camera = '<camera name="track" mode="trackcom" pos="1.2 -3.2 0.3" xyaxes="1 0.37 0 -0.03 0.08 1"/>'
    return scene_of(SPEC, (*_trunk(), *_side("left", 1), *_side("right", -1)), camera=camera, visual=visual)


def _joint(name: str, axis: Vector, low: float, high: float) -> Joint:
    return Joint(name=name, axis=axis, range=(low, high), armature=_drive(name).armature)


def _trunk() -> tuple[Link, ...]:
    return (
        Link(
            name="pelvis",
            parent=None,
            pos=(0.0, 0.0, 0.0),
            mass=5.39,
            com=(-0.0002, 0.00004, -0.04522),
            inertia=(0.04458, 0.00825, 0.04902),
            looks=(capsule(0.07, (0.0, -0.08, -0.1), (0.0, 0.08, -0.1), f'material="frame" {LOOK}'),),
        ),
        Link(
            name="torso_link",
            parent="pelvis",
            pos=(0.0, 0.0, 0.0),
            mass=17.789,
            com=(0.000489, 0.002797, 0.20484),
            inertia=(0.4873, 0.40963, 0.12785),
            joint=_joint("torso", (0.0, 0.0, 1.0), -2.35, 2.35),
            geoms=(
                box((0.08, 0.13, 0.23), (0.0, 0.0, 0.26), solid("shell"), "torso_link"),
                sphere(0.08, (0.02, 0.0, 0.65), solid("frame"), "head"),
            ),
        ),
    )


def _side(side: str, left: int) -> tuple[Link, ...]:
    return (*_leg(side, left), *_arm(side, left))


def _leg(side: str, left: int) -> tuple[Link, ...]:
    x, y, z = (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)
    bone = f'material="metal" {LOOK}'
    toes = tuple(
        sphere(0.02, (ahead, beside, 0.02 - SOLE), solid("rubber"))
        for ahead in (-0.05, 0.15)
        for beside in (-0.03, 0.03)
    )
    return (
        Link(
            name=f"{side}_hip_yaw_link",
            parent="pelvis",
            pos=(0.0, left * 0.0875, -0.1742),
            mass=2.244,
            com=(-0.04923, left * 0.0001, 0.0072),
            inertia=(0.00256, 0.003, 0.00234),
            joint=_joint(f"{side}_hip_yaw", z, -0.43, 0.43),
        ),
        Link(
            name=f"{side}_hip_roll_link",
            parent=f"{side}_hip_yaw_link",
            pos=(0.039468, 0.0, 0.0),
            mass=2.232,
            com=(-0.0058, left * -0.00319, -0.00009),
            inertia=(0.00206, 0.00241, 0.00226),
            joint=_joint(f"{side}_hip_roll", x, -0.43, 0.43),
            looks=(sphere(0.06, (0.0, 0.0, 0.0), bone),),
        ),
        Link(
            name=f"{side}_hip_pitch_link",
            parent=f"{side}_hip_roll_link",
            pos=(0.0, left * 0.11536, 0.0),
            mass=4.152,
            com=(0.00746, left * -0.02346, -0.08193),
            inertia=(0.08295, 0.08215, 0.00511),
            joint=_joint(f"{side}_hip_pitch", y, -1.57, 1.57),
            looks=(capsule(0.06, (0.0, 0.0, 0.0), (0.0, 0.0, -0.36), f'material="shell" {LOOK}'),),
        ),
        Link(
            name=f"{side}_knee_link",
            parent=f"{side}_hip_pitch_link",
            pos=(0.0, 0.0, -0.4),
            mass=1.721,
            com=(-0.00136, left * -0.00512, -0.1384),
            inertia=(0.01252, 0.01231, 0.00194),
            joint=_joint(f"{side}_knee", y, -0.26, 2.05),
            looks=(capsule(0.045, (0.0, 0.0, -0.02), (0.0, 0.0, -0.37), f'material="frame" {LOOK}'),),
        ),
        Link(
            name=f"{side}_ankle_link",
            parent=f"{side}_knee_link",
            pos=(0.0, 0.0, -0.4),
            mass=0.446,
            com=(0.06722, left * 0.00015, -0.04497),
            inertia=(0.00022, 0.0022, 0.0022),
            joint=_joint(f"{side}_ankle", y, -0.87, 0.52),
            geoms=toes,
            looks=(box((0.11, 0.035, 0.012), (0.05, 0.0, -0.05), f'material="rubber" {LOOK}'),),
        ),
    )


def _arm(side: str, left: int) -> tuple[Link, ...]:
    x, y, z = (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)
    roll = (-0.34, 3.11) if left > 0 else (-3.11, 0.34)
    yaw = (-1.3, 4.45) if left > 0 else (-4.45, 1.3)
    limb = f'material="metal" {LOOK}'
    return (
        Link(
            name=f"{side}_shoulder_pitch_link",
            parent="torso_link",
            pos=(0.0055, left * 0.15535, 0.42999),
            rpy=(left * 0.43633, 0.0, 0.0),
            mass=1.033,
            com=(0.005045, left * 0.053657, -0.015715),
            inertia=(0.0013, 0.00087, 0.00097),
            joint=_joint(f"{side}_shoulder_pitch", y, -2.87, 2.87),
            looks=(capsule(0.045, (0.0, 0.0, 0.0), (0.0, left * 0.05, -0.015), f'material="shell" {LOOK}'),),
        ),
        Link(
            name=f"{side}_shoulder_roll_link",
            parent=f"{side}_shoulder_pitch_link",
            pos=(-0.0055, left * 0.0565, -0.0165),
            rpy=(left * -0.43633, 0.0, 0.0),
            mass=0.793,
            com=(0.000679, left * 0.00115, -0.094076),
            inertia=(0.00157, 0.0017, 0.00102),
            joint=_joint(f"{side}_shoulder_roll", x, *roll),
            looks=(capsule(0.04, (0.0, 0.0, -0.02), (0.0, 0.0, -0.12), limb),),
        ),
        Link(
            name=f"{side}_shoulder_yaw_link",
            parent=f"{side}_shoulder_roll_link",
            pos=(0.0, 0.0, -0.1343),
            mass=0.839,
            com=(0.01365, left * 0.002767, -0.16266),
            inertia=(0.00366, 0.00408, 0.00066),
            joint=_joint(f"{side}_shoulder_yaw", z, *yaw),
            looks=(capsule(0.035, (0.0, 0.0, -0.03), (0.0, 0.0, -0.19), limb),),
        ),
        Link(
            name=f"{side}_elbow_link",
            parent=f"{side}_shoulder_yaw_link",
            pos=(0.0185, 0.0, -0.198),
            mass=0.669,
            com=(0.15908, left * -0.000144, -0.015776),
            inertia=(0.00042, 0.00601, 0.006),
            joint=_joint(f"{side}_elbow", y, -1.25, 2.61),
            looks=(capsule(0.03, (0.02, 0.0, -0.01), (0.26, 0.0, -0.015), limb),),
        ),
    )
