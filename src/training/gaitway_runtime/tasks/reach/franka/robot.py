"""Franka Emika Panda with its hand, on a fixed base.

Kinematics, masses, centres of mass and inertia are those of MuJoCo Menagerie's ``franka_emika_panda`` (identified
values). Gains, torque limits and default pose are Isaac Lab's ``FRANKA_PANDA_CFG``; it names no rotor inertia,
Menagerie's stands in. Nothing touches anything.
"""

from __future__ import annotations

import math

from ...links import LOOK, Joint, Link, Vector, box, capsule, scene_of
from ...robots import RobotSpec
from ...scene import Scene

ARM = tuple(f"panda_joint{number}" for number in range(1, 8))
JOINTS = (*ARM, "panda_finger_joint1", "panda_finger_joint2")
HAND = "panda_hand"

SPEC = RobotSpec(
    name="franka_panda",
    scene=lambda visual: _scene(visual),
    joint_names=JOINTS,
    default_joint_pos=(0.0, -0.569, 0.0, -2.81, 0.0, 3.037, 0.741, 0.04, 0.04),
    init_height=0.0,
    stiffness=(*(80.0,) * 7, *(2000.0,) * 2),
    damping=(*(4.0,) * 7, *(100.0,) * 2),
    effort_limits=(*(87.0,) * 4, *(12.0,) * 3, *(200.0,) * 2),
    actuator="implicit_pd",
    end_effector=HAND,
)

_QUARTER = math.pi / 2
_LINKS: tuple[tuple[Vector, float, float, Vector, tuple[float, ...], tuple[float, float]], ...] = (
    (
        (0.0, 0.0, 0.333),
        0.0,
        4.970684,
        (0.003875, 0.002081, -0.04762),
        (0.70337, 0.70661, 0.009117, -0.000139, 0.006772, 0.019169),
        (-2.8973, 2.8973),
    ),
    (
        (0.0, 0.0, 0.0),
        -_QUARTER,
        0.646926,
        (-0.003141, -0.02872, 0.003495),
        (0.007962, 0.02811, 0.025995, -0.003925, 0.010254, 0.000704),
        (-1.7628, 1.7628),
    ),
    (
        (0.0, -0.316, 0.0),
        _QUARTER,
        3.228604,
        (0.027518, 0.039252, -0.066502),
        (0.037242, 0.036155, 0.01083, -0.004761, -0.011396, -0.012805),
        (-2.8973, 2.8973),
    ),
    (
        (0.0825, 0.0, 0.0),
        _QUARTER,
        3.587895,
        (-0.05317, 0.104419, 0.027454),
        (0.025853, 0.019552, 0.028323, 0.007796, -0.001332, 0.008641),
        (-3.0718, -0.0698),
    ),
    (
        (-0.0825, 0.384, 0.0),
        -_QUARTER,
        1.225946,
        (-0.011953, 0.041065, -0.038437),
        (0.035549, 0.029474, 0.008627, -0.002117, -0.004037, 0.000229),
        (-2.8973, 2.8973),
    ),
    (
        (0.0, 0.0, 0.0),
        _QUARTER,
        1.666555,
        (0.060149, -0.014117, -0.010517),
        (0.001964, 0.004354, 0.005433, 0.000109, -0.001158, 0.000341),
        (-0.0175, 3.7525),
    ),
    (
        (0.088, 0.0, 0.0),
        _QUARTER,
        0.735522,
        (0.010517, -0.004252, 0.061597),
        (0.012516, 0.010027, 0.004815, -0.000428, -0.001196, -0.000741),
        (-2.8973, 2.8973),
    ),
)
"""Of each link: origin in its parent [m], roll [rad], mass [kg], centre of mass [m], inertia [kg m^2], joint range."""


def _scene(visual: bool) -> Scene:
    camera = '<camera name="track" pos="1.6 -1.4 0.9" xyaxes="0.66 0.75 0 -0.25 0.22 0.94"/>'
    return scene_of(SPEC, (_base(), *_arm(), *_hand()), camera=camera, visual=visual)


def _base() -> Link:
    return Link(
        name="panda_link0",
        parent=None,
        pos=(0.0, 0.0, 0.0),
        mass=0.629769,
        com=(-0.041018, -0.00014, 0.049974),
        inertia=(0.00315, 0.00388, 0.004285),
        looks=(capsule(0.07, (0.0, 0.0, 0.05), (0.0, 0.0, 0.28), f'material="shell" {LOOK}'),),
    )


def _arm() -> tuple[Link, ...]:
    found = []
    for number, (pos, roll, mass, com, inertia, bounds) in enumerate(_LINKS, 1):
        end = _LINKS[number][0] if number < len(_LINKS) else (0.0, 0.0, 0.107)
        far = max(abs(value) for value in end) > 0.01
        looks = (capsule(0.05, (0.0, 0.0, 0.0), end, f'material="{"shell" if number % 2 else "metal"}" {LOOK}'),)
        found.append(
            Link(
                name=f"panda_link{number}",
                parent=f"panda_link{number - 1}",
                pos=pos,
                rpy=(roll, 0.0, 0.0),
                mass=mass,
                com=com,
                inertia=inertia,
                joint=Joint(name=f"panda_joint{number}", axis=(0.0, 0.0, 1.0), range=bounds, armature=0.1),
                looks=looks if far else (),
            )
        )
    return tuple(found)


def _hand() -> tuple[Link, ...]:
    frame = f'material="frame" {LOOK}'
    hand = Link(
        name=HAND,
        parent="panda_link7",
        pos=(0.0, 0.0, 0.107),
        rpy=(0.0, 0.0, -math.pi / 4),
        mass=0.73,
        com=(-0.01, 0.0, 0.03),
        inertia=(0.001, 0.0025, 0.0017),
        looks=(box((0.03, 0.1, 0.03), (0.0, 0.0, 0.03), frame),),
    )
    fingers = tuple(
        Link(
            name=f"panda_{side}finger",
            parent=HAND,
            pos=(0.0, 0.0, 0.0584),
            rpy=(0.0, 0.0, turn),
            mass=0.015,
            inertia=(2.375e-6, 2.375e-6, 7.5e-7),
            joint=Joint(
                name=f"panda_finger_joint{number}", axis=(0.0, 1.0, 0.0), range=(0.0, 0.04), armature=0.1, kind="slide"
            ),
            looks=(box((0.01, 0.008, 0.025), (0.0, 0.008, 0.03), f'material="metal" {LOOK}'),),
        )
        for number, (side, turn) in enumerate((("left", 0.0), ("right", math.pi)), 1)
    )
    return (hand, *fingers)
