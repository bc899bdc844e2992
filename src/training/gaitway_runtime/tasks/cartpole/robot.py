"""Isaac Lab's cartpole: a cart on a rail with a free pole. Numbers: IsaacGymEnvs' ``cartpole.urdf``."""

from __future__ import annotations

from ..robots import RobotSpec
from ..scene import Scene

SPEC = RobotSpec(
    name="cartpole",
    scene=lambda visual: _scene(visual),
    joint_names=("slider_to_cart", "cart_to_pole"),
    default_joint_pos=(0.0, 0.0),
    init_height=2.0,
    effort_limits=(400.0, 400.0),
)


def _scene(visual: bool) -> Scene:
    """Return the model's pieces: rail at 2 m, cart and pole of 1 kg each, slider along y, pole about x.

    Nothing touches anything: the ground is far below and the URDF's own geoms do not collide.
    """
    rail = (
        '<geom name="rail" type="box" size="0.015 4 0.015" pos="0 0 2" material="metal" contype="0" conaffinity="0"/>'
    )
    bodies = f"""    {rail if visual else ""}
    <body name="cart" pos="0 0 2">
      <joint name="slider_to_cart" type="slide" axis="0 1 0" range="-4 4" damping="10"/>
      <geom name="cart" type="box" size="0.1 0.125 0.1" mass="1" material="frame" contype="0" conaffinity="0"/>
      <body name="pole" pos="0.12 0 0">
        <joint name="cart_to_pole" type="hinge" axis="1 0 0" limited="false"/>
        <geom name="pole" type="box" size="0.02 0.03 0.5" pos="0 0 0.47" mass="1" material="shell" contype="0"
              conaffinity="0"/>
      </body>
    </body>
    <camera name="track" pos="6 0 2.6" xyaxes="0 1 0 -0.15 0 1"/>"""
    return Scene(
        name=SPEC.name,
        bodies=bodies,
        actuators='    <motor name="slider_to_cart" joint="slider_to_cart" forcerange="-400 400"/>',
    )
