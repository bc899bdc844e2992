"""Universal Robots UR10 on a fixed base.

Kinematics and masses are those of ROS-Industrial's ``ur_description``, from which Isaac Lab's model was made; as there,
links have the inertia of cylinders. Gains, torque limit, rotor inertia and default pose are Isaac Lab's ``UR10_CFG``.
The drives' damping is the joints' own here: a drive at its limit damps nothing in MuJoCo, and the wrist is so light
that it would fly off. Nothing touches anything.
"""

from __future__ import annotations

import math

from ...links import LOOK, Joint, Link, Vector, capsule, scene_of
from ...robots import RobotSpec
from ...scene import Scene

JOINTS = ("shoulder_pan_joint", "shoulder_lift_joint", "elbow_joint", "wrist_1_joint", "wrist_2_joint", "wrist_3_joint")
END = "ee_link"

DAMPING = 40.0
"""[N m s/rad]."""

SPEC = RobotSpec(
    name="ur10",
    scene=lambda visual: _scene(visual),
    joint_names=JOINTS,
    default_joint_pos=(0.0, -1.712, 1.712, 0.0, 0.0, 0.0),
    init_height=0.0,
    stiffness=(800.0,) * 6,
    damping=(0.0,) * 6,
    effort_limits=(87.0,) * 6,
    actuator="implicit_pd",
    end_effector=END,
)

_QUARTER = math.pi / 2
_O: Vector = (0.0, 0.0, 0.0)
_Y, _Z = (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)
_UPPER_ARM, _FOREARM = 0.612, 0.5723
_LINKS: tuple[tuple[str, Vector, float, Vector, float, float, float, Vector], ...] = (
    ("shoulder_link", (0.0, 0.0, 0.1273), 0.0, _Z, 7.778, 0.178, 0.0, (0.0, 0.220941, 0.0)),
    ("upper_arm_link", (0.0, 0.220941, 0.0), _QUARTER, _Y, 12.93, _UPPER_ARM, _UPPER_ARM / 2, (0.0, 0.0, _UPPER_ARM)),
    ("forearm_link", (0.0, -0.1719, _UPPER_ARM), 0.0, _Y, 3.87, _FOREARM, _FOREARM / 2, (0.0, 0.0, _FOREARM)),
    ("wrist_1_link", (0.0, 0.0, _FOREARM), _QUARTER, _Y, 1.96, 0.12, 0.0, (0.0, 0.1149, 0.0)),
    ("wrist_2_link", (0.0, 0.1149, 0.0), 0.0, _Z, 1.96, 0.12, 0.0, (0.0, 0.0, 0.1157)),
    ("wrist_3_link", (0.0, 0.0, 0.1157), 0.0, _Y, 0.202, 0.12, 0.0, (0.0, 0.0922, 0.0)),
)
"""Name, origin in the parent [m], pitch against it [rad], axis, mass [kg], length of the cylinder and height of its
middle [m], end of the capsule that is seen [m]."""


def _scene(visual: bool) -> Scene:
    camera = '<camera name="track" pos="1.9 -1.6 1.1" xyaxes="0.66 0.75 0 -0.25 0.22 0.94"/>'
    base = Link(
        name="base_link",
        parent=None,
        pos=_O,
        mass=4.0,
        inertia=_cylinder(4.0, 0.038),
        looks=(capsule(0.08, (0.0, 0.0, 0.02), (0.0, 0.0, 0.1), f'material="frame" {LOOK}'),),
    )
    end = Link(name=END, parent=_LINKS[-1][0], pos=(0.0, 0.0922, 0.0), rpy=(0.0, 0.0, _QUARTER))
    return scene_of(SPEC, (base, *_arm(), end), camera=camera, visual=visual)


def _arm() -> tuple[Link, ...]:
    parents = ("base_link", *(name for name, *_ in _LINKS))
    found = []
    for joint, parent, (name, pos, pitch, axis, mass, length, middle, end) in zip(
        JOINTS, parents, _LINKS, strict=False
    ):
        found.append(
            Link(
                name=name,
                parent=parent,
                pos=pos,
                rpy=(0.0, pitch, 0.0),
                mass=mass,
                com=(0.0, 0.0, middle),
                inertia=_cylinder(mass, length),
                joint=Joint(
                    name=joint,
                    axis=axis,
                    range=(-2 * math.pi, 2 * math.pi),
                    armature=0.001,
                    damping=DAMPING,
                    friction_loss=1e-5,
                ),
                looks=(capsule(0.05, _O, end, f'material="{"shell" if mass > 3 else "metal"}" {LOOK}'),),
            )
        )
    return tuple(found)


def _cylinder(mass: float, length: float, radius: float = 0.075) -> Vector:
    """Return the inertia of a cylinder along z [kg m^2]."""
    across = mass * (3 * radius * radius + length * length) / 12
    return (across, across, mass * radius * radius / 2)
