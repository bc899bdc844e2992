"""ANYmal C from ANYbotics' published dimensions and masses, in primitive geoms.

All link frames are parallel to the base's at zero joint angles, so every HAA axis is x and every HFE and KFE axis is
y. Masses, centres of mass and kinematics are those of ANYbotics' ``anymal_c_simple_description`` with fixed joints
fused (52.13 kg). Isaac Lab drives the joints with a network that is not public; the stand-in is an implicit PD
drive with gains that Newton's demo of an Isaac-trained policy uses.
"""

from __future__ import annotations

from ...links import FRICTION, foot_sensors
from ...robots import contact_sensor
from ...scene import Scene
from ..anymal import ARMATURE, DAMPING, EFFORT_LIMIT, LEGS, STIFFNESS, spec_of

IMPRATIO = 10
"""Stiffness of friction over that of contact. At MuJoCo's 1 the standing robot's feet creep outwards (base at 0.41 m
after 5 s, still sinking); at 10 they nearly hold, as PhysX's static friction does (0.48 m)."""
FOOT_RADIUS = 0.03

SPEC = spec_of("anymal_c", lambda visual: _scene(visual))


def _scene(visual: bool) -> Scene:
    """Return the model's pieces.

    Only the ground is touched (no self-collision): a box for the body, capsules for thighs and shin tubes, spheres
    for the feet. A FOOT is a body of its own, as in Isaac Lab, where it includes the shin tube; its mass is part
    of the SHANK's, to which it is welded.
    """
    legs = "\n".join(_leg(*leg, visual=visual) for leg in LEGS)
    bodies = f"""    <body name="base" pos="0 0 {SPEC.init_height}">
      <freejoint name="root"/>
      <camera name="track" mode="trackcom" pos="0.6 -2.6 0.9" xyaxes="1 0.23 0 -0.06 0.25 1"/>
      <inertial pos="-0.01779 -0.00018 0.00850" mass="26.3732" diaginertia="0.21566 1.78411 1.83581"/>
      <geom name="base" type="box" size="0.52 0.14 0.09" {_geom("shell")}/>
      {_BASE_LOOKS if visual else ""}
{legs}
    </body>"""
    actuators = "\n".join(
        f'    <position name="{joint}" joint="{joint}" kp="{STIFFNESS}" kv="{DAMPING}" inheritrange="0" '
        f'forcerange="-{EFFORT_LIMIT} {EFFORT_LIMIT}"/>'
        for joint in SPEC.joint_names
    )
    contacts = "\n".join(
        f'    <contact name="{contact_sensor(body)}" body1="{body}" num="1" reduce="netforce" data="force"/>'
        for bodies_of_group in SPEC.contact_bodies.values()
        for body in bodies_of_group
    )
    feet = "\n".join(foot_sensors(f"{leg}_FOOT") for leg, *_ in LEGS)
    return Scene(
        name=SPEC.name,
        bodies=bodies,
        actuators=actuators,
        sensors=f"{contacts}\n{feet}",
        options=f'iterations="10" ls_iterations="10" impratio="{IMPRATIO}"',
    )


def _geom(material: str) -> str:
    """Attributes of a colliding geom; masses come from the ``inertial`` elements.

    ``priority`` makes the robot's friction count: without it MuJoCo takes the larger of the two, the ground's.
    """
    return (
        f'material="{material}" friction="{FRICTION} 0.005 0.0001" priority="1" condim="3" '
        'contype="0" conaffinity="1" mass="0"'
    )


_LOOK = 'contype="0" conaffinity="0" mass="0" group="1"'
_BASE_LOOKS = f"""<geom type="box" size="0.29 0.15 0.06" pos="0 0 0.06" material="frame" {_LOOK}/>
      <geom type="cylinder" size="0.09 0.02" pos="0.525 0 0" euler="0 1.5708 0" material="rubber" {_LOOK}/>
      <geom type="cylinder" size="0.09 0.02" pos="-0.525 0 0" euler="0 1.5708 0" material="rubber" {_LOOK}/>
      <geom type="cylinder" size="0.07 0.06" pos="-0.364 0 0.1335" material="metal" {_LOOK}/>"""


def _leg(name: str, sx: int, sy: int, *, visual: bool) -> str:
    low, high = (-0.72, 0.49) if sy > 0 else (-0.49, 0.72)
    knee_drive = _drive(0.065, 0.05, 0.0, sy * 0.02) if visual else ""
    return f"""      <body name="{name}_HIP" pos="{sx * 0.2999:g} {sy * 0.104:g} 0">
        <joint name="{name}_HAA" axis="1 0 0" range="{low} {high}" armature="{ARMATURE}"/>
        <inertial pos="{sx * 0.0567:g} {sy * 0.01739:g} -0.00046" mass="2.781"
                  diaginertia="0.003296 0.00494 0.005834"/>
        {_drive(0.05, 0.07, sx * 0.0599, sy * 0.0138) if visual else ""}
        <body name="{name}_THIGH" pos="{sx * 0.0599:g} {sy * 0.08381:g} 0">
          <joint name="{name}_HFE" axis="0 1 0" range="-9.42478 9.42478" armature="{ARMATURE}"/>
          <inertial pos="0 {sy * 0.030815:g} -0.245696" mass="3.071" diaginertia="0.029904 0.029564 0.004861"/>
          <geom name="{name}_THIGH" type="capsule" size="0.04" {_geom("frame")}
                fromto="0 {sy * 0.03:g} -0.02 0 {sy * 0.03:g} -0.285"/>
          {knee_drive}
          <body name="{name}_SHANK" pos="0 {sy * 0.1003:g} -0.285">
            <joint name="{name}_KFE" axis="0 1 0" range="-9.42478 9.42478" armature="{ARMATURE}"/>
            <inertial pos="{sx * 0.061253:g} {sy * 0.005462:g} -0.08066" mass="0.58842"
                      diaginertia="0.00881 0.010161 0.00155"/>
            {knee_drive}
            <body name="{name}_FOOT" pos="{sx * 0.08795:g} {sy * 0.01305:g} -0.31547">
              <geom name="{name}_SHIN" type="capsule" size="0.0175" fromto="0 0 0.28 0 0 0.02" {_geom("metal")}/>
              <geom name="{name}_FOOT" type="sphere" size="{FOOT_RADIUS}" {_geom("rubber")}/>
            </body>
          </body>
        </body>
      </body>"""


def _drive(radius: float, half_length: float, x: float, y: float) -> str:
    """A joint's drive as it looks: a cylinder along y."""
    return (
        f'<geom type="cylinder" size="{radius:g} {half_length:g}" pos="{x:g} {y:g} 0" euler="1.5708 0 0" '
        f'material="metal" {_LOOK}/>'
    )
