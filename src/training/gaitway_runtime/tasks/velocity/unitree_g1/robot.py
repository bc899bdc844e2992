"""Unitree G1 with three-fingered hands (37 joints) in primitive geoms.

Kinematics, masses, centres of mass and inertia are those of Unitree's own ``g1.urdf``, fixed joints fused. Gains,
torque limits and rotor inertia are Isaac Lab's ``G1_CFG``.
"""

from __future__ import annotations

from dataclasses import replace

from ...links import LOOK, Drive, Link, across, capsule, right_side, scene_of, solid, sphere
from ...mirrors import mirror_by_names
from ...robots import RobotSpec
from ...scene import Scene
from .numbers import FINGERS, LEFT, TRUNK


def _both(*parts: str) -> tuple[str, ...]:
    return tuple(f"{side}_{part}_joint" for part in parts for side in ("left", "right"))


JOINTS = (
    *_both("hip_pitch"),
    "torso_joint",
    *_both("hip_roll", "shoulder_pitch", "hip_yaw", "shoulder_roll", "knee", "shoulder_yaw", "ankle_pitch"),
    *_both("elbow_pitch", "ankle_roll", "elbow_roll"),
    *("left_five_joint", "left_three_joint", "left_zero_joint"),
    *("right_five_joint", "right_three_joint", "right_zero_joint"),
    *("left_six_joint", "left_four_joint", "left_one_joint"),
    *("right_six_joint", "right_four_joint", "right_one_joint"),
    *_both("two"),
)
"""Breadth first, as Isaac Lab with PhysX."""
FEET = ("left_ankle_roll_link", "right_ankle_roll_link")
SOLE = 0.03
"""Below the ankle's roll axis [m]."""


_ARM = Drive(40.0, 10.0, 300.0, 0.01)
_FINGER = replace(_ARM, armature=0.001)
_DRIVES = {
    "hip_pitch": Drive(200.0, 5.0, 300.0, 0.01, -0.2),
    "hip_roll": Drive(150.0, 5.0, 300.0, 0.01),
    "hip_yaw": Drive(150.0, 5.0, 300.0, 0.01),
    "knee": Drive(200.0, 5.0, 300.0, 0.01, 0.42),
    "torso": Drive(200.0, 5.0, 300.0, 0.01),
    "ankle_pitch": Drive(20.0, 2.0, 20.0, 0.01, -0.23),
    "ankle_roll": Drive(20.0, 2.0, 20.0, 0.01),
    "shoulder_pitch": replace(_ARM, pos=0.35),
    "shoulder_roll": replace(_ARM, pos=0.16),
    "shoulder_yaw": _ARM,
    "elbow_pitch": replace(_ARM, pos=0.87),
    "elbow_roll": _ARM,
    **dict.fromkeys(FINGERS, _FINGER),
    "one": replace(_FINGER, pos=1.0),
    "two": replace(_FINGER, pos=0.52),
}
_TURNED = ("roll", "yaw", "torso", "one", "two", "three", "four", "five", "six")
"""Joints that turn the other way on the other side: all but those about the y axis."""


def _part(name: str) -> str:
    """Return what a joint or link is without its side: ``knee`` of ``left_knee_joint``."""
    return name.removeprefix("left_").removeprefix("right_").removesuffix("_joint").removesuffix("_link")


def _drive(joint: str) -> Drive:
    return _DRIVES[_part(joint)]


def _default(joint: str) -> float:
    turned = joint.startswith("right") and any(part in joint for part in _TURNED)
    return -_drive(joint).pos if turned else _drive(joint).pos


SPEC = RobotSpec(
    name="unitree_g1",
    scene=lambda visual: _scene(visual),
    joint_names=JOINTS,
    default_joint_pos=tuple(_default(joint) for joint in JOINTS),
    init_height=0.74,
    base="pelvis",
    stiffness=tuple(_drive(joint).stiffness for joint in JOINTS),
    damping=tuple(_drive(joint).damping for joint in JOINTS),
    effort_limits=tuple(_drive(joint).effort for joint in JOINTS),
    actuator="implicit_pd",
    soft_limit_factor=0.9,
    scan_joint="torso_joint",
    contact_bodies={"base": ("torso_link",), "feet": FEET},
    mirrors=(
        mirror_by_names(
            "left-right", (1, -1, 1), JOINTS, FEET, swaps={"left": "right", "right": "left"}, flipped=_TURNED
        ),
    ),
)


def _scene(visual: bool) -> Scene:
    camera = '<camera name="track" mode="trackcom" pos="0.9 -2.4 0.25" xyaxes="1 0.37 0 -0.03 0.08 1"/>'
    sides = (*LEFT, *map(right_side, LEFT))
    return scene_of(SPEC, (*TRUNK, *map(_dressed, sides)), camera=camera, visual=visual)


def _dressed(link: Link) -> Link:
    """Return a link of an arm or leg with its rotor inertia and geoms."""
    assert link.joint is not None
    armature = _drive(link.joint.name).armature
    return replace(link, joint=replace(link.joint, armature=armature), geoms=_geoms(link.name), looks=_looks(link.name))


def _geoms(link: str) -> tuple[str, ...]:
    """Return the geoms that touch the ground: four corners of each foot."""
    if link not in FEET:
        return ()
    corners = ((-0.06, -0.02), (-0.06, 0.02), (0.13, -0.02), (0.13, 0.02))
    return tuple(sphere(0.01, (ahead, beside, 0.01 - SOLE), solid("rubber")) for ahead, beside in corners)


_BONES = {
    "hip_roll": (0.05, (0.0, 0.0, 0.0), (0.02, 0.0, -0.12), "shell"),
    "hip_yaw": (0.05, (0.0, 0.0, 0.0), (-0.078, 0.0, -0.16), "shell"),
    "knee": (0.04, (0.0, 0.0, -0.01), (0.0, 0.004, -0.27), "metal"),
    "ankle_roll": (0.012, (-0.05, 0.0, -0.015), (0.12, 0.0, -0.015), "rubber"),
    "shoulder_pitch": (0.035, (0.0, 0.0, 0.0), (0.0, 0.05, 0.0), "frame"),
    "shoulder_roll": (0.033, (0.0, 0.0, 0.0), (0.0, 0.0, -0.1), "shell"),
    "shoulder_yaw": (0.03, (0.0, 0.0, 0.0), (0.0, 0.0, -0.08), "metal"),
    "elbow_pitch": (0.028, (0.0, 0.0, 0.0), (0.1, 0.0, 0.0), "shell"),
    "elbow_roll": (0.025, (0.0, 0.0, 0.0), (0.18, 0.0, 0.0), "metal"),
    "two": (0.008, (0.0, 0.0, 0.0), (0.0, -0.035, 0.0), "frame"),
    "three": (0.01, (0.0, 0.0, 0.0), (0.045, 0.0, 0.0), "frame"),
    "five": (0.01, (0.0, 0.0, 0.0), (0.045, 0.0, 0.0), "frame"),
    "four": (0.009, (0.0, 0.0, 0.0), (0.035, 0.0, 0.0), "frame"),
    "six": (0.009, (0.0, 0.0, 0.0), (0.035, 0.0, 0.0), "frame"),
}
"""Capsules that are only seen: radius, ends on the left side [m], material."""


def _looks(link: str) -> tuple[str, ...]:
    if _part(link) not in _BONES:
        return ()
    radius, start, end, material = _BONES[_part(link)]
    ends = (start, end) if link.startswith("left") else (across(start), across(end))
    return (capsule(radius, *ends, f'material="{material}" {LOOK}'),)
