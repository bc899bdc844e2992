"""Robots as others write them: what their files have in common with real ones that were read wrongly or not at all."""

from __future__ import annotations

from pathlib import Path

import mujoco
import numpy as np
import pytest
from gaitway_runtime.simulators.mujoco.own_robot.checking import examine
from gaitway_runtime.simulators.mujoco.own_robot.describing import describe
from gaitway_runtime.simulators.mujoco.own_robot.gains import model_of
from gaitway_runtime.simulators.mujoco.own_robot.reading import read_robot
from gaitway_runtime.simulators.mujoco.own_robot.shapes import lowest

from tests.fakes.robots import FOOT, described, dog, line_of, refused, stool, walker, written


@pytest.mark.parametrize(
    ("changed", "start"),
    [
        (
            {"thigh": 'quat="0 0.707107 0 -0.707107"', "down": "0.2 0 0", "foot": '<geom size="0.02" pos="0.2 0 0"/>'},
            0.0,
        ),
        ({"thigh": 'euler="0 0.2 0.1"', "shank": 'euler="0.1 -0.3 0"'}, 0.0),
        ({"thigh": 'euler="0 0.3 0"', "extra": 'ref="0.3"'}, 0.3),
    ],
    ids=["turned by a right angle", "turned about three axes", "angles counted from elsewhere"],
)
def test_the_written_robot_has_its_bodies_where_its_file_has_them(
    tmp_path: Path, changed: dict[str, str], start: float
) -> None:
    source = read_robot(written(tmp_path, dog(**changed)))
    robot = describe(source).robot
    places = []
    for model, zero in ((source.model, start), (model_of(robot), 0.0)):
        data = mujoco.MjData(model)
        for number, joint in enumerate(robot.joints):
            data.joint(joint.name).qpos[0] = zero + 0.1 + 0.05 * number
        mujoco.mj_kinematics(model, data)
        places.append(np.array([data.body(link.name).xpos - data.xpos[1] for link in robot.links]))
    assert np.abs(places[0] - places[1]).max() < 1e-4
    ranges = {link.joint.range for link in robot.links if link.joint and link.joint.name.endswith("hip")}
    assert ranges == {(-1.5 - start, 1.5 - start)}


def box(inertial: str = "") -> str:
    shape = '<collision><geometry><box size="0.2 0.2 0.2"/></geometry></collision>'
    joint = '<joint name="mount" type="fixed"><parent link="base"/><child link="box"/></joint>'
    return f'<link name="box">{inertial}{shape}</link>{joint}'


def inertial(mass: str, moment: str) -> str:
    moments = " ".join(f'i{axis}{axis}="{moment}"' for axis in "xyz")
    return f'<inertial><mass value="{mass}"/><inertia {moments} ixy="0" ixz="0" iyz="0"/></inertial>'


@pytest.mark.parametrize("weighs", ["", inertial("4e-15", "2e-27"), inertial("0", "0")])
def test_shapes_of_a_urdf_weigh_nothing(tmp_path: Path, weighs: str) -> None:
    assert described(tmp_path, stool(more=box(weighs))).robot.mass == pytest.approx(8 + 4 * 1.1)


def test_a_weight_welded_to_the_robot_may_be_a_point(tmp_path: Path) -> None:
    found = described(tmp_path, stool(more=box(inertial("0.5", "0"))))
    assert found.robot.mass == pytest.approx(8.5 + 4 * 1.1)
    assert "box has mass without inertia: it counts as a point" in found.guesses


def test_a_mark_on_the_ground_is_no_base(tmp_path: Path) -> None:
    mark = '<link name="base_footprint"/><joint name="lift" type="fixed"><origin xyz="0 0 0.4"/>'
    joint = mark + '<parent link="base_footprint"/><child link="base"/></joint>'
    robot = described(tmp_path, stool(more=joint)).robot
    assert (robot.links[0].name, robot.stand_height) == ("base", described(tmp_path, stool()).robot.stand_height)
    text = dog().replace('pos="0.2 0.1 0"', 'pos="0.2 0.1 0.4"').replace('pos="0.2 -0.1 0"', 'pos="0.2 -0.1 0.4"')
    text = text.replace('pos="-0.2 0.1 0"', 'pos="-0.2 0.1 0.4"').replace('pos="-0.2 -0.1 0"', 'pos="-0.2 -0.1 0.4"')
    error = refused(tmp_path, text)
    assert error.message == "the origin of the base 'trunk' is at the feet and not in the trunk"
    assert error.source == f"{tmp_path}/robot.xml:{line_of(text, 'trunk')}"


def test_a_foot_may_be_a_body_of_its_own(tmp_path: Path) -> None:
    welded = (
        '<geom type="capsule" size="0.01" fromto="0 0 0 0 0 -0.15"/><body pos="0 0 -0.2"><geom size="0.02"/></body>'
    )
    one, other = described(tmp_path, dog()).robot, described(tmp_path, dog(welded)).robot
    assert other.feet == one.feet
    assert other.stand_height == pytest.approx(one.stand_height, abs=1e-3)


def test_axes_that_meet_in_a_wrist_are_no_reason_to_find_no_symmetry(tmp_path: Path) -> None:
    wrist = """<body name="arm" pos="0.1 0 0.1"><joint name="roll" axis="1 0 0"/><geom size="0.01" mass="0.1"/>
    <body><joint name="bend" axis="0 1 0" pos="0 0.03 0"/><geom size="0.01" mass="0.1"/>
    <body name="hand"><joint name="twist" axis="1 0 0"/><geom size="0.01" mass="0.1"/></body></body></body>"""
    motors = "".join(f'<motor joint="{name}"/>' for name in ("roll", "bend", "twist"))
    joints = {one.name: one for one in described(tmp_path, dog(more=wrist, motors=motors)).robot.joints}
    assert {name: (joints[name].partner, joints[name].flipped) for name in ("roll", "bend", "twist")} == {
        "roll": ("roll", True),
        "bend": ("bend", False),
        "twist": ("twist", True),
    }
    assert joints["lf_hip"].partner == "rf_hip"


def test_a_slide_of_an_arm_is_held_and_one_of_a_leg_refused(tmp_path: Path) -> None:
    finger = (
        '<body name="finger" pos="0.2 0 0.1"><joint name="grip" type="slide"/><geom size="0.01" mass="0.1"/></body>'
    )
    found = described(tmp_path, dog(more=finger))
    assert len(found.robot.joints) == 8
    assert "held stiff, for nothing drives them: grip" in found.guesses
    spring = (
        '<body name="{0}" pos="0 0 -0.15"><joint name="{0}_spring" type="slide" range="-0.01 0.01"/>' + FOOT + "</body>"
    )
    text = dog(
        spring.format("pad"),
    ).replace('name="pad', 'name="lf_pad', 2)
    for leg in ("rf", "lh", "rh"):
        text = text.replace('name="pad', f'name="{leg}_pad', 2)
    error = refused(tmp_path, text)
    assert error.message == "joint 'lf_pad_spring' of a leg is no hinge"
    assert error.source == f"{tmp_path}/robot.xml:{line_of(text, 'lf_pad_spring')}"


def test_a_keyframe_that_does_not_stand_is_not_the_standing_pose(tmp_path: Path) -> None:
    rearing = "0 0 0.3 1 0 0 0 -1.4 0 -1.4 0 0.5 -1 0.5 -1"
    found = described(tmp_path, dog(keys=f'<keyframe><key name="home" qpos="{rearing}"/></keyframe>'))
    assert len(found.robot.feet) == 4 and found.standing.held
    assert "default pose: legs bent under the hips, for its first keyframe does not stand" in found.guesses
    lying = "0 0 0.1 1 0 0 0" + " 1.4 -2.45" * 4
    found = described(tmp_path, dog(keys=f'<keyframe><key name="down" qpos="{lying}"/></keyframe>'))
    assert found.standing.held and found.robot.stand_height == pytest.approx(0.72 * 0.42, abs=0.025)
    crouching = "0 0 0.3 1 0 0 0" + " 0.9 -1.8" * 4
    found = described(tmp_path, dog(keys=f'<keyframe><key name="home" qpos="{crouching}"/></keyframe>'))
    assert {joint.pos for joint in found.robot.joints} == {0.9, -1.8}


def test_knees_bend_although_hips_stick_out(tmp_path: Path) -> None:
    robot = described(tmp_path, dog()).robot
    assert robot.stand_height == pytest.approx(0.72 * 0.42, abs=0.01)
    # Where the leg hangs beside its first joint, the distance between the two makes it no longer.
    shifted = dog(down="0 {side}0.15 -0.2")
    assert described(tmp_path, shifted).robot.stand_height == pytest.approx(0.72 * 0.42, abs=0.01)


def test_a_pose_keeps_to_the_ranges_of_both_sides(tmp_path: Path) -> None:
    text = dog().replace('name="rf_knee" axis="0 1 0" range="-2.5 2.5"', 'name="rf_knee" axis="0 1 0" range="0 2.6"')
    robot = described(tmp_path, text).robot
    assert {one.what for one in examine(robot) if not one.right} == {"range of lf_knee and rf_knee"}
    knees = {joint.name: joint.pos for joint in robot.joints if joint.name in ("lf_knee", "rf_knee")}
    assert knees["rf_knee"] == knees["lf_knee"] > 0.5


def test_a_biped_stands_with_its_weight_over_its_soles(tmp_path: Path) -> None:
    text = walker()
    found = described(tmp_path, text)
    assert found.standing.held
    knees = [joint.pos for joint in found.robot.joints if joint.name.endswith("knee")]
    assert all(0.3 < knee < 1.0 for knee in knees)
    assert all(one.right for one in examine(found.robot))


def test_sides_that_are_no_mirror_images_are_named(tmp_path: Path) -> None:
    def wrong(text: str) -> set[str]:
        return {one.what for one in examine(described(tmp_path, text).robot) if not one.right}

    assert wrong(stool()) == set()
    heavy = stool().replace('<mass value="0.3"/>', '<mass value="3"/>', 1)
    assert wrong(heavy) == {"mass of lf_shank and rf_shank"}
    longer = stool().replace('<origin xyz="0 0 -0.2"/><geometry>', '<origin xyz="0 0 -0.26"/><geometry>', 1)
    assert "feet" in wrong(longer)
    knee = stool().index('name="rf_knee"')
    turned = stool()[:knee] + stool()[knee:].replace('xyz="0 1 0"', 'xyz="0 -1 0"', 1)
    assert "range of lf_knee and rf_knee" in wrong(turned)


def test_limits_in_degrees_are_named(tmp_path: Path) -> None:
    robot = described(tmp_path, stool().replace('upper="1.5"', 'upper="86"')).robot
    assert "unit of lf_hip" in {one.what for one in examine(robot) if not one.right}


def test_a_torque_limit_that_no_motor_has_is_none(tmp_path: Path) -> None:
    found = described(tmp_path, stool().replace('effort="30"', 'effort="1e9"'))
    assert all(5.0 <= joint.effort < 100.0 for joint in found.robot.joints)
    assert any(guess.startswith("torque limits of lf_hip") for guess in found.guesses)
    assert all(link.joint.armature < 0.1 for link in found.robot.links if link.joint)


def test_a_waist_below_the_base_is_no_leg(tmp_path: Path) -> None:
    chest = '<body name="chest" pos="0 0 1.3"><freejoint/><geom type="box" size="0.08 0.1 0.15" mass="8"/>'
    waist = '<body name="pelvis" pos="0 0 -0.3"><joint name="waist" axis="0 1 0" range="-60 60"/>'
    text = walker().replace('<body name="pelvis" pos="0 0 1"><freejoint/>', chest + waist)
    text = text.replace('<geom type="box" pos="0.08 0 0.3" size="0.1 0.1 0.2" mass="10"/>', "")
    found = described(tmp_path, text.replace("</worldbody>", "</body></worldbody>"))
    joints = {joint.name: joint for joint in found.robot.joints}
    assert not joints["waist"].leg and joints["waist"].pos == 0.0 and joints["left_hip"].leg
    assert found.standing.held and joints["left_knee"].pos == joints["right_knee"].pos > 0.3


def test_a_large_ball_of_a_foot_touches_at_its_lowest_point(tmp_path: Path) -> None:
    crouching = '<keyframe><key qpos="0 0 0.3 1 0 0 0' + " 0.9 -1.8" * 4 + '"/></keyframe>'
    robot = described(tmp_path, dog('<geom size="0.06" pos="0 0 -0.2"/>', keys=crouching)).robot
    (foot,) = next(link for link in robot.links if link.name == "lf_shank").geoms
    x, _, z = (float(value) for value in foot.split('pos="')[1].split('"')[0].split())
    assert np.hypot(x, z + 0.2) == pytest.approx(0.06 - 0.015, abs=2e-3)


def test_a_thin_rod_is_a_body(tmp_path: Path) -> None:
    rod = '<inertia ixx="305.93659" iyy="305.936564" izz="0.00002" ixy="0.01" ixz="-17" iyz="3"/>'
    text = stool().replace('<inertia ixx="0.001" iyy="0.001" izz="0.0003" ixy="0" ixz="0" iyz="0"/>', rod, 1)
    assert len(described(tmp_path, text).robot.joints) == 8


def test_a_biped_on_points_is_told_why_it_falls(tmp_path: Path) -> None:
    text = walker()
    points = text.replace('type="box" pos="0.02 0 -0.03" size="0.1 0.04 0.02"', 'size="0.02"')
    looked = {one.what: one for one in examine(described(tmp_path, points).robot)}
    assert not looked["standing"].right and "on two points nobody stands still" in looked["standing"].hint


def test_a_foot_that_is_not_level_at_zero_stands_on_its_whole_sole(tmp_path: Path) -> None:
    text = walker()
    found = described(tmp_path, text.replace('_foot" pos="0 0 -0.3"', '_foot" pos="0 0 -0.3" euler="0 20 0"'))
    assert found.standing.held
    level = described(tmp_path, text)
    assert found.robot.stand_height == pytest.approx(level.robot.stand_height, abs=0.01)


def test_what_a_robot_lacks_to_stand_is_told_although_it_lies_on_the_ground(tmp_path: Path) -> None:
    text = dog(keys='<keyframe><key qpos="0 0 0.3 1 0 0 0' + " 0.9 -1.8" * 4 + '"/></keyframe>').replace(
        "-30 30", "-1 1"
    )
    looked = {one.what: one for one in examine(described(tmp_path, text).robot)}
    asked = looked["torque of lf_knee"]
    assert not asked.right and int(asked.found.split("%")[0]) > 150
    assert "it falls over" in looked["drop"].found


CORNERS = [(x, y, z) for x in (-0.03, 0.03) for y in (-0.02, 0.02) for z in (-0.02, 0.02)]


def text_stl() -> str:
    facets = (CORNERS[k : k + 3] for k in range(6))
    loops = ("outer loop\n" + "".join("vertex {} {} {}\n".format(*c) for c in facet) + "endloop" for facet in facets)
    return "solid pad\n" + "".join(f"facet normal 0 0 1\n{loop}\nendfacet\n" for loop in loops) + "endsolid pad\n"


def collada() -> str:
    values = " ".join(f"{1000 * value:g}" for x, y, z in CORNERS for value in (x, z, -y))
    return f"""<?xml version="1.0"?><COLLADA xmlns="http://www.collada.org/2005/11/COLLADASchema" version="1.4.1">
<asset><unit name="millimeter" meter="0.001"/><up_axis>Y_UP</up_axis></asset>
<library_geometries><geometry id="pad"><mesh>
<source id="at"><float_array id="a" count="24">{values}</float_array></source>
<source id="normals"><float_array id="n" count="3">0 0 9999</float_array></source>
<vertices id="v"><input semantic="POSITION" source="#at"/></vertices></mesh></geometry></library_geometries>
<library_visual_scenes><visual_scene id="s"><node><translate>0 10 0</translate><rotate>0 1 0 90</rotate>
<instance_geometry url="#pad"/></node></visual_scene></library_visual_scenes></COLLADA>"""


@pytest.mark.parametrize(("name", "text", "raised"), [("pad.stl", text_stl(), 0.0), ("pad.dae", collada(), 0.01)])
def test_a_foot_in_a_format_that_mujoco_does_not_read_touches_where_it_ends(
    tmp_path: Path, name: str, text: str, raised: float
) -> None:
    (tmp_path / "meshes").mkdir()
    (tmp_path / "meshes" / name).write_text(text)
    source = read_robot(written(tmp_path, stool(f'<mesh filename="package:///stool/meshes/{name}"/>')))
    data = mujoco.MjData(source.model)
    mujoco.mj_kinematics(source.model, data)
    ground = lowest(source.model, data, source.model.body("lf_shank").id)
    assert ground == pytest.approx(-0.42 + raised, abs=1e-6)
    assert len(describe(source).robot.feet) == 4


def test_an_open_mesh_of_a_urdf_is_a_shape(tmp_path: Path) -> None:
    (tmp_path / "pad.obj").write_text("".join(f"v {x} {y} {z}\n" for x, y, z in CORNERS) + "f 1 2 3\nf 2 3 4\n")
    assert described(tmp_path, stool('<mesh filename="pad.obj"/>')).standing.held
