"""The parts that every generated scene shares: ground, light, sky and the MJCF frame around a robot."""

from __future__ import annotations

from dataclasses import dataclass, replace

from .terrain import AROUND, Terrain

GROUND = "ground"
"""Name of the ground's geom, and of its height field."""
_GROUND_LOOKS = 'material="ground" friction="1 0.005 0.0001"'

_LOOKS = """
    <texture name="sky" type="skybox" builtin="gradient" rgb1="0.55 0.68 0.82" rgb2="0.95 0.97 1" width="64"
             height="384"/>
    <texture name="ground" type="2d" builtin="checker" rgb1="0.42 0.47 0.52" rgb2="0.36 0.41 0.46" mark="edge"
             markrgb="0.55 0.6 0.65" width="256" height="256"/>
    <material name="ground" texture="ground" texrepeat="1 1" texuniform="true" reflectance="0.05"/>
    <material name="shell" rgba="0.82 0.2 0.16 1"/>
    <material name="frame" rgba="0.2 0.22 0.25 1"/>
    <material name="metal" rgba="0.62 0.65 0.7 1"/>
    <material name="rubber" rgba="0.1 0.1 0.11 1"/>"""


@dataclass(frozen=True, kw_only=True)
class Scene:
    """The pieces of one MJCF document."""

    name: str
    bodies: str
    """MJCF of the robot's bodies, inside ``worldbody``."""
    actuators: str
    sensors: str = ""
    assets: str = ""
    ground: str = f'<geom name="{GROUND}" type="plane" size="0 0 1" {_GROUND_LOOKS}/>'
    options: str = ""
    """Further attributes and flags of ``option``."""


def on_terrain(scene: Scene, terrain: Terrain) -> Scene:
    """Put a scene on rough ground: a height field whose data is filled in after compilation, flat ground around it."""
    half_x, half_y = terrain.half_size
    middle_x, middle_y = terrain.centre
    low, high = terrain.bounds
    rows = terrain.heights.shape[1]  # MuJoCo's rows are along y
    field = f'<hfield name="{GROUND}" nrow="{rows}" ncol="{terrain.heights.shape[0]}" '
    field += f'size="{half_x:g} {half_y:g} {high - low:g} 1"/>'
    ground = f'<geom name="{GROUND}" type="hfield" hfield="{GROUND}" '
    ground += f'pos="{middle_x:g} {middle_y:g} {low:g}" {_GROUND_LOOKS}/>'
    half = AROUND / 2
    for number, (x, y, size_x, size_y) in enumerate(
        (
            (half_x + half, 0.0, half, half_y + AROUND),
            (-half_x - half, 0.0, half, half_y + AROUND),
            (0.0, half_y + half, half_x, half),
            (0.0, -half_y - half, half_x, half),
        )
    ):
        ground += f'\n    <geom name="border_{number}" type="box" pos="{middle_x + x:g} {middle_y + y:g} -1" '
        ground += f'size="{size_x:g} {size_y:g} 1" {_GROUND_LOOKS}/>'
    return replace(scene, assets=f"{scene.assets}\n    {field}", ground=ground)


def document(scene: Scene, timestep: float) -> str:
    """Return the MJCF of a scene. Angles are in radians: MuJoCo's default of degrees is a trap for URDF numbers.

    Args:
        scene: The pieces.
        timestep: Length of a physics step [s].
    """
    return f"""<mujoco model="{scene.name}">
  <compiler angle="radian" autolimits="true"/>
  <option timestep="{timestep!r}" integrator="implicitfast" cone="pyramidal" solver="Newton" {scene.options}/>
  <visual>
    <headlight ambient="0.35 0.35 0.35" diffuse="0.4 0.4 0.4" specular="0.1 0.1 0.1"/>
    <quality shadowsize="2048"/>
    <global offwidth="1280" offheight="720" azimuth="130" elevation="-18"/>
  </visual>
  <asset>{_LOOKS}{scene.assets}
  </asset>
  <worldbody>
    <light name="sun" pos="2 -3 6" dir="-0.3 0.45 -0.9" directional="true" diffuse="0.6 0.6 0.6" castshadow="true"/>
    {scene.ground}
{scene.bodies}
  </worldbody>
  <actuator>
{scene.actuators}
  </actuator>
  <sensor>
{scene.sensors}
  </sensor>
</mujoco>
"""
