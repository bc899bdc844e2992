"""Small robots as others write them, in MJCF and URDF: a dog, a stool and a walker on two legs."""

from __future__ import annotations

from pathlib import Path

import pytest
from gaitway_runtime.simulators.mujoco.own_robot.describing import Described, describe
from gaitway_runtime.simulators.mujoco.own_robot.reading import read_robot
from gaitway_runtime.spec.errors import UsageError

LEGS = {"lf": (0.2, 0.1), "rf": (0.2, -0.1), "lh": (-0.2, 0.1), "rh": (-0.2, -0.1)}

DOG = """<mujoco model="dog"><compiler angle="radian"/>
<default><joint damping="0.1"/></default>
<worldbody><body name="trunk" pos="0 0 0.5" {trunk}><freejoint/>
<geom type="box" size="0.2 0.1 0.05" mass="8"/>
{legs}
{more}
</body></worldbody>
<actuator>{motors}</actuator>
{keys}
</mujoco>"""
DOG_LEG = """<body name="{leg}_thigh" pos="{x} {y} 0" {thigh}><joint name="{leg}_hip" axis="{axis}" range="-1.5 1.5"
{extra}/>
<geom type="capsule" size="0.01" fromto="0 0 0 {down}" mass="0.8"/>
<body name="{leg}_shank" pos="{down}" {shank}><joint name="{leg}_knee" axis="{axis}" range="-2.5 2.5"/>
<inertial pos="0 0 -0.1" mass="0.3" diaginertia="0.001 0.001 0.0003"/>
{foot}</body></body>"""
FOOT = '<geom size="0.02" pos="0 0 -0.2"/>'


def dog(
    foot: str = FOOT,
    *,
    axis: str = "0 1 0",
    down: str = "0 0 -0.2",
    thigh: str = "",
    shank: str = "",
    trunk: str = "",
    more: str = "",
    motors: str = "",
    keys: str = "",
    extra: str = "",
) -> str:
    legs = [
        DOG_LEG.format(
            leg=leg,
            x=x,
            y=y,
            foot=foot,
            axis=axis,
            down=down.format(side="" if y > 0 else "-"),
            thigh=thigh,
            shank=shank,
            extra=extra,
        )
        for leg, (x, y) in LEGS.items()
    ]
    drives = "".join(f'<motor joint="{leg}_{joint}" ctrlrange="-30 30"/>' for leg in LEGS for joint in ("hip", "knee"))
    return DOG.format(legs="\n".join(legs), more=more, motors=drives + motors, keys=keys, trunk=trunk)


URDF = """<robot name="stool">
  <link name="base"><inertial><mass value="8"/><origin xyz="0 0 0"/>
    <inertia ixx="0.1" iyy="0.1" izz="0.15" ixy="0" ixz="0" iyz="0"/></inertial>
    <visual><geometry><mesh filename="package://stool/meshes/base.dae"/></geometry></visual>
    <collision><geometry><box size="0.4 0.2 0.1"/></geometry></collision></link>
  {legs}
{more}
</robot>"""
URDF_LEG = """
  <link name="{leg}_thigh"><inertial><mass value="0.8"/><origin xyz="0 0 -0.1"/>
    <inertia ixx="0.004" iyy="0.004" izz="0.001" ixy="0" ixz="0" iyz="0"/></inertial></link>
  <joint name="{leg}_hip" type="revolute"><parent link="base"/><child link="{leg}_thigh"/>
    <origin xyz="{x} {y} 0"/><axis xyz="0 1 0"/><limit lower="-1.5" upper="1.5" effort="30" velocity="20"/></joint>
  <link name="{leg}_shank"><inertial><mass value="0.3"/><origin xyz="0 0 -0.1"/>
    <inertia ixx="0.001" iyy="0.001" izz="0.0003" ixy="0" ixz="0" iyz="0"/></inertial>
    <collision><origin xyz="0 0 -0.2"/><geometry>{foot}</geometry></collision></link>
  <joint name="{leg}_knee" type="revolute"><parent link="{leg}_thigh"/><child link="{leg}_shank"/>
    <origin xyz="0 0 -0.2"/><axis xyz="0 1 0"/><limit lower="-2.5" upper="-0.1" effort="30" velocity="20"/></joint>"""


def stool(foot: str = '<sphere radius="0.02"/>', more: str = "") -> str:
    legs = [URDF_LEG.format(leg=leg, x=x, y=y, foot=foot) for leg, (x, y) in LEGS.items()]
    return URDF.format(legs="".join(legs), more=more)


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / ("robot.urdf" if "<robot" in text else "robot.xml")
    path.write_text(text)
    return path


def described(tmp_path: Path, text: str) -> Described:
    return describe(read_robot(written(tmp_path, text)))


def refused(tmp_path: Path, text: str) -> UsageError:
    with pytest.raises(UsageError) as caught:
        described(tmp_path, text)
    return caught.value


def line_of(text: str, part: str) -> int:
    return text[: text.index(part)].count("\n") + 1


WALKER = """<mujoco><worldbody><body name="pelvis" pos="0 0 1"><freejoint/>
<geom type="box" size="0.05 0.1 0.05" mass="4"/>
<geom type="box" pos="0.08 0 0.3" size="0.1 0.1 0.2" mass="10"/>{legs}</body></worldbody></mujoco>"""
WALKING_LEG = """<body name="{0}_thigh" pos="0 {1} 0"><joint name="{0}_hip" axis="0 1 0" range="-90 90"/>
<geom type="capsule" size="0.02" fromto="0 0 0 0 0 -0.3" mass="2"/>
<body name="{0}_shank" pos="0 0 -0.3"><joint name="{0}_knee" axis="0 1 0" range="0 140"/>
<geom type="capsule" size="0.02" fromto="0 0 0 0 0 -0.3" mass="1"/>
<body name="{0}_foot" pos="0 0 -0.3"><joint name="{0}_ankle" axis="0 1 0" range="-60 60"/>
<geom type="box" pos="0.02 0 -0.03" size="0.1 0.04 0.02" mass="0.5"/></body></body></body>"""


def walker() -> str:
    return WALKER.format(legs=WALKING_LEG.format("left", 0.1) + WALKING_LEG.format("right", -0.1))
