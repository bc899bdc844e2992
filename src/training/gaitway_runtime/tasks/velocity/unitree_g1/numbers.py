"""Numbers of the G1: trunk and left side; the right side is its mirror image."""

from __future__ import annotations

from ...links import LOOK, Joint, Link, Vector, box, capsule, solid, sphere

FINGERS = ("zero", "one", "two", "three", "four", "five", "six")
"""Joints of a hand: zero to two are the thumb's."""

_X, _Y, _Z = (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)

TRUNK = (
    Link(
        name="pelvis",
        parent=None,
        pos=(0.0, 0.0, 0.0),
        mass=2.86,
        com=(0.0, 0.0, -0.07605),
        inertia=(0.0079143, 0.0069837, 0.0059404),
        looks=(capsule(0.05, (0.0, -0.04, -0.06), (0.0, 0.04, -0.06), f'material="frame" {LOOK}'),),
    ),
    # With head and logo.
    Link(
        name="torso_link",
        parent="pelvis",
        pos=(0.0, 0.0, 0.0),
        mass=7.52036333,
        com=(0.00187791, 0.00229457, 0.20874746),
        inertia=(0.128464278, 0.11174175, 0.0350665187, -0.000101624, 0.00119163, 0.000954072),
        joint=Joint(name="torso_joint", axis=_Z, range=(-2.618, 2.618), armature=0.01),
        geoms=(
            box((0.055, 0.09, 0.13), (0.0, 0.0, 0.17), solid("shell"), "torso_link"),
            sphere(0.07, (0.02, 0.0, 0.4), solid("frame"), "head"),
        ),
    ),
)


def _link(
    part: str,
    parent: str,
    pos: Vector,
    body: tuple[float, Vector, tuple[float, ...]],
    axis: Vector,
    low: float,
    high: float,
) -> Link:
    """Return a link of the left side; ``body`` is its mass, centre of mass and inertia."""
    mass, com, inertia = body
    return Link(
        name=f"left_{part}_link",
        parent=parent if parent in ("pelvis", "torso_link") else f"left_{parent}_link",
        pos=pos,
        rpy=_TURNED.get(part, (0.0, 0.0, 0.0)),
        mass=mass,
        com=com,
        inertia=inertia,
        joint=Joint(name=f"left_{part}_joint", axis=axis, range=(low, high)),
    )


_TURNED: dict[str, Vector] = {
    "hip_pitch": (0.0, -0.34907, 0.0),
    "knee": (0.0, 0.5096, 0.0),
    "ankle_pitch": (0.0, -0.16053, 0.0),
    "shoulder_pitch": (0.27925, 0.0, 0.0),
    "shoulder_roll": (-0.27925, 0.0, 0.0),
}
"""Links whose frame is turned against their parent's: roll, pitch, yaw [rad]."""

_HIP_PITCH = (
    1.299,
    (0.001962, 0.049392, -0.000941),
    (0.0013873, 0.0009059, 0.0009196, -1.63e-5, -1e-6, -4.24e-5),
)
_HIP_ROLL = (
    1.446,
    (0.024757, -0.001036, -0.086323),
    (0.0022702, 0.002304, 0.0016001, -3.7e-6, -0.0003789, -1.8e-5),
)
_HIP_YAW = (
    2.052,
    (-0.053554, -0.011477, -0.14067),
    (0.0087264, 0.011374, 0.004279, -0.0004402, -0.0036676, -0.0006654),
)
_KNEE = (
    2.252,
    (0.005505, 0.006534, -0.116629),
    (0.012443837, 0.012674902, 0.001986501, 5.3496e-5, -0.000437641, -0.000682499),
)
_ANKLE_PITCH = (0.074, (-0.007269, 0.0, 0.011137), (8.4e-6, 1.89e-5, 1.26e-5, 0.0, -2.9e-6, 0.0))
_ANKLE_ROLL = (0.391, (0.024762, 2e-5, -0.012526), (0.0001552, 0.0010657, 0.001098, -1e-7, 7.51e-5, 1e-7))
_SHOULDER_PITCH = (
    0.713,
    (-0.001431, 0.048811, 0.001304),
    (0.0004614, 0.0004146, 0.0004416, -9.3e-6, 1e-5, 5.5e-6),
)
_SHOULDER_ROLL = (0.642, (-0.003415, 0.006955, -0.064598), (0.0006159, 0.0006835, 0.000373, 0.0, -5.6e-6, 2.1e-6))
_SHOULDER_YAW = (
    0.713,
    (0.000375, -0.00444, -0.072374),
    (0.0009699, 0.0009691, 0.0003826, 7.1e-6, 7.8e-6, -4.49e-5),
)
_ELBOW_PITCH = (0.601, (0.064497, 0.002873, 0.0), (0.0002845, 0.0004647, 0.0004712, 8.06e-5, 9e-9, 5e-9))
_ELBOW_ROLL = (
    0.50826043,
    (0.13381377, 0.00147121, 0.00026583),
    (0.000285902, 0.002397383, 0.002266313, -2.23888e-5, -1.32258e-5, 1.01226e-6),
)
"""With the palm."""
_ZERO = (
    0.05098927,
    (-0.02604664, -0.00877511, 0.00001086),
    (6.79822e-6, 5.01632e-6, 8.68017e-6, -9.82815e-7, -4.064e-9, 2.8335e-8),
)
_ONE = (
    0.04776204,
    (-0.00181538, -0.03270572, -0.00018587),
    (8.00635e-6, 3.66334e-6, 7.85914e-6, -2.08114e-7, -4.6877e-8, 5.1339e-8),
)
_TWO = (
    0.01385835,
    (-0.00135257, -0.02375911, -0.00011967),
    (2.54698e-6, 9.47446e-7, 2.04289e-6, -1.00863e-7, -3.257e-9, 3.6055e-8),
)
_FINGER = (
    0.04884689,
    (0.03625612, -0.0015725, 0.0002699),
    (3.83218e-6, 8.90975e-6, 8.65612e-6, 3.24e-8, 1.923e-8, -4.43e-8),
)
_TIP = (
    0.01385835,
    (0.02375911, 0.00135257, 0.00011967),
    (9.47446e-7, 2.54698e-6, 2.04289e-6, -1.00863e-7, 3.6055e-8, -3.257e-9),
)

LEFT = (
    _link("hip_pitch", "pelvis", (0.0, 0.06445, -0.1027), _HIP_PITCH, _Y, -2.35, 3.05),
    _link("hip_roll", "hip_pitch", (0.0, 0.0523, 0.0), _HIP_ROLL, _X, -0.26, 2.53),
    _link("hip_yaw", "hip_roll", (0.01966, -0.0012139, -0.1241), _HIP_YAW, _Z, -2.75, 2.75),
    _link("knee", "hip_yaw", (-0.078292, -0.0017335, -0.177225), _KNEE, _Y, -0.33489, 2.5449),
    _link("ankle_pitch", "knee", (0.0, 0.0040687, -0.30007), _ANKLE_PITCH, _Y, -0.68, 0.73),
    _link("ankle_roll", "ankle_pitch", (0.0, 0.0, -0.017558), _ANKLE_ROLL, _X, -0.2618, 0.2618),
    _link("shoulder_pitch", "torso_link", (-0.0025, 0.10396, 0.25928), _SHOULDER_PITCH, _Y, -2.9671, 2.7925),
    _link("shoulder_roll", "shoulder_pitch", (0.0, 0.052, 0.0), _SHOULDER_ROLL, _X, -1.5882, 2.2515),
    _link("shoulder_yaw", "shoulder_roll", (-0.00354, 0.0062424, -0.1032), _SHOULDER_YAW, _Z, -2.618, 2.618),
    _link("elbow_pitch", "shoulder_yaw", (0.0, 0.00189, -0.0855), _ELBOW_PITCH, _Y, -0.2268, 3.4208),
    _link("elbow_roll", "elbow_pitch", (0.1, 0.0, 0.0), _ELBOW_ROLL, _X, -2.0943, 2.0943),
    # The palm lies 0.12 m ahead of the elbow's roll axis.
    _link("zero", "elbow_roll", (0.17, 0.0, 0.0), _ZERO, _Y, -0.523598, 0.523598),
    _link("one", "zero", (-0.02652503, -0.0188, -0.00005), _ONE, _Z, -1.0, 1.2),
    _link("two", "one", (0.0, -0.0431, 0.0), _TWO, _Z, 0.0, 1.84),
    _link("three", "elbow_roll", (0.205, 0.004, 0.02395), _FINGER, _Z, -1.84, 0.3),
    _link("four", "three", (0.0471, -0.0036, 0.0), _TIP, _Z, -1.84, 0.0),
    _link("five", "elbow_roll", (0.205, 0.004, -0.02395), _FINGER, _Z, -1.84, 0.3),
    _link("six", "five", (0.0471, -0.0036, 0.0), _TIP, _Z, -1.84, 0.0),
)
