"""Robots that a walking task cannot use: named with the element and the line of their file."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fakes.robots import FOOT, LEGS, described, dog, line_of, refused, stool


@pytest.mark.parametrize(
    ("text", "message", "part"),
    [
        (stool(more='<xacro:leg name="x"/>'), "<xacro:leg> is xacro's: it is not yet a URDF", "<xacro:leg"),
        (stool().replace('mass value="8"', 'mass value="${trunk_mass}"'), "<mass> is xacro's", "${trunk_mass}"),
        (stool().replace('ixx="0.1"', 'ixx="heavy"'), "<inertia> has ixx='heavy'", "heavy"),
        (stool().replace('xyz="0.2 0.1 0"', 'xyz="0.2, 0.1, 0"'), "<origin> has xyz='0.2, 0.1, 0'", "0.2, 0.1"),
        (stool(more="<ros:plugin/>"), "it is not XML", "<ros:plugin"),
        (
            stool('<mesh filename="package:///stool/foot.stl"/>'),
            "the mesh of link 'lf_shank' is missing: package:///stool/foot.stl",
            "package:///stool/foot.stl",
        ),
        (stool().replace('<mass value="0.3"/>', '<mass value="-1"/>', 1), "a mass is negative: -1", 'value="-1"'),
        (stool().replace('lower="-2.5" upper="-0.1"', 'lower="1" upper="0"'), "the lower limit is above", 'lower="1"'),
        (stool(more='<link name="lone"/>'), "2 links hang from no joint: base, lone", '"lone"'),
        (
            stool().replace('<parent link="lf_thigh"/>', '<parent link="nowhere"/>'),
            "joint 'lf_knee' has no parent among the links: nowhere",
            'name="lf_knee"',
        ),
        (
            stool().replace('<axis xyz="0 1 0"/>', '<axis xyz="0 1 0"/><mimic joint="rf_hip"/>', 1),
            "joint 'lf_hip' of a leg follows another joint",
            'name="lf_hip"',
        ),
        (
            dog().replace('<motor joint="lf_knee" ctrlrange="-30 30"/>', ""),
            "joint 'lf_knee' of a leg has no actuator, and other legs have one more",
            'name="lf_knee"',
        ),
        (stool().replace("lf_knee", "lf&quot;knee"), "the name 'lf\"knee' has a character", "lf&quot;knee"),
        (stool().replace("lf_knee", "root"), "a joint is named 'root', as the robot's free joint is", '"root"'),
        (dog(foot=""), "the foot 'lf_shank' has no shape that could touch the ground", 'name="lf_shank"'),
        (dog(axis="1 0 0"), "the knees turn about the x axis of the base 'trunk': the robot walks along y", '"trunk"'),
        (
            dog(trunk='euler="1.57 0 0"'),
            "the z axis of the base 'trunk' is 90 degrees from up as the robot stands",
            '"trunk"',
        ),
        (
            dog(FOOT + '<joint axis="0 0 1"/>'),
            "body 'lf_shank' has 2 joints",
            'name="lf_shank"',
        ),
    ],
    ids=[
        "xacro",
        "xacro's value",
        "no number",
        "commas",
        "prefix",
        "mesh",
        "negative mass",
        "limits the wrong way round",
        "two roots",
        "no such link",
        "mimic",
        "no actuator",
        "quotes",
        "root",
        "no shape",
        "sideways",
        "lying",
        "two joints",
    ],
)
def test_what_cannot_be_read_is_named_with_its_line(tmp_path: Path, text: str, message: str, part: str) -> None:
    error = refused(tmp_path, text)
    assert error.message.startswith(message)
    suffix = "urdf" if "<robot" in text else "xml"
    assert error.source == f"{tmp_path}/robot.{suffix}:{line_of(text, part)}"


def test_a_legged_robot_on_wheels_is_refused(tmp_path: Path) -> None:
    wheels = "".join(
        f'''<link name="{leg}_wheel"><inertial><mass value="0.4"/>
        <inertia ixx="0.001" iyy="0.001" izz="0.001" ixy="0" ixz="0" iyz="0"/></inertial><collision>
        <origin rpy="1.5707963 0 0"/><geometry><cylinder radius="0.06" length="0.03"/></geometry></collision></link>
        <joint name="{leg}_roll" type="continuous"><parent link="{leg}_shank"/><child link="{leg}_wheel"/>
        <origin xyz="0 0 -0.2"/><axis xyz="0 1 0"/><limit effort="10" velocity="20"/></joint>'''
        for leg in LEGS
    )
    text = stool(more=wheels)
    error = refused(tmp_path, text)
    assert error.message.startswith("'lf_wheel' is a wheel: 'lf_roll' turns without end")
    assert error.source == f"{tmp_path}/robot.urdf:{line_of(text, 'lf_roll')}"
    fixed = text.replace('type="continuous"', 'type="fixed"')
    assert described(tmp_path, fixed).robot.feet == ("lf_shank", "rf_shank", "lh_shank", "rh_shank")


def test_a_table_in_the_scene_is_no_robot_and_a_second_robot_one_too_many(tmp_path: Path) -> None:
    table = '<worldbody>\n<body name="table" pos="3 0 0"><geom size="0.5"/></body>'
    assert described(tmp_path, dog().replace("<worldbody>", table, 1)).robot.links[0].name == "trunk"
    text = dog().replace("<worldbody>", table.replace("<geom", '<freejoint/><geom mass="1"'), 1)
    error = refused(tmp_path, text)
    assert error.message == "2 bodies with joints hang from the world: 'table', 'trunk'"
    second = line_of(text, 'name="trunk"')
    assert error.source == f"{tmp_path}/robot.xml:{second}"


def test_a_fault_of_an_included_file_is_named_where_it_is(tmp_path: Path) -> None:
    (tmp_path / "parts.xml").write_text(
        '<mujoco>\n<worldbody><body name="trunk"><geom size="1" mass="1"/></body></worldbody></mujoco>'
    )
    error = refused(tmp_path, '<mujoco>\n<include file="parts.xml"/></mujoco>')
    assert error.message.startswith("body 'trunk' has no free joint")
    assert error.source == f"{tmp_path}/parts.xml:2"
    error = refused(tmp_path, '<mujoco>\n\n<include file="else.xml"/></mujoco>')
    assert (error.message, error.source) == (
        "the file that it includes is missing: else.xml",
        f"{tmp_path}/robot.xml:3",
    )
