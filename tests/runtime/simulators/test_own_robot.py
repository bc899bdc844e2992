"""A user's own robot: read from MJCF or URDF, its legs, pose and gains found, what is wrong with it named."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import numpy as np
import pytest
from gaitway_runtime.learners.rsl_rl.symmetric import Symmetry
from gaitway_runtime.simulators.mujoco.contract import mirrors
from gaitway_runtime.simulators.mujoco.models import mjcf
from gaitway_runtime.simulators.mujoco.own_robot.checking import examine
from gaitway_runtime.simulators.mujoco.own_robot.describing import Described, describe
from gaitway_runtime.simulators.mujoco.own_robot.filming import examination_states
from gaitway_runtime.simulators.mujoco.own_robot.reading import read_robot
from gaitway_runtime.simulators.mujoco.own_robot.writing import module_of
from gaitway_runtime.spec.errors import UsageError
from gaitway_runtime.tasks.velocity.own import walking_on_flat_ground

from tests.fakes.robots import stool


def model_text(robot: str) -> str:
    """MJCF of a robot that ships with the project, without its drives and sensors: what a user might have."""
    text = mjcf(robot, timestep=0.005)
    return re.sub(r"<(actuator|sensor)>.*?</\1>", "", text, flags=re.S)


@pytest.fixture(scope="module")
def go2(tmp_path_factory: pytest.TempPathFactory) -> Described:
    path = tmp_path_factory.mktemp("go2") / "my_dog.xml"
    path.write_text(model_text("unitree_go2"))
    return describe(read_robot(path), "My Dog")


def test_legs_joints_and_symmetry_are_found(go2: Described) -> None:
    robot = go2.robot
    assert (robot.name, robot.task) == ("my_dog", "My-Dog-Flat")
    assert robot.feet == ("FL_calf", "FR_calf", "RL_calf", "RR_calf")
    assert [joint.name for joint in robot.joints[:4]] == [f"{leg}_hip_joint" for leg in ("FL", "FR", "RL", "RR")]
    assert robot.joints[0].partner == "FR_hip_joint"
    assert [joint.flipped for joint in robot.joints] == [True] * 4 + [False] * 8
    assert robot.trunk == ("base",)
    assert robot.mass == pytest.approx(15.206, abs=0.01)


def test_its_mirror_is_one_that_networks_can_be_symmetric_by(go2: Described) -> None:
    found = mirrors(walking_on_flat_ground(go2.robot), go2.robot.spec)
    assert Symmetry.of(found).products == [[0, 1], [1, 0]]


def test_torque_costs_a_larger_robot_less(go2: Described) -> None:
    def cost(mass: float) -> float:
        heavier = tuple(dataclasses.replace(link, mass=link.mass * mass) for link in go2.robot.links)
        rewards = walking_on_flat_ground(dataclasses.replace(go2.robot, links=heavier)).rewards
        return next(term.weight for term in rewards if term.name == "dof_torques_l2")

    assert cost(1.0) == pytest.approx(-2.0e-4, rel=0.1), "it stands as Isaac Lab's Go2 does"
    assert cost(8.0) == pytest.approx(cost(4.0) / 4) and cost(0.5) == -2.0e-4


def test_it_stands_on_gains_that_were_measured(go2: Described) -> None:
    assert go2.standing.held
    assert 0.25 < go2.robot.stand_height < 0.4
    assert all(5.0 < joint.stiffness < 500.0 for joint in go2.robot.joints)
    assert any(guess.startswith("gains: measured") for guess in go2.guesses)
    assert all(one.right for one in examine(go2.robot))


def test_a_humanoid_has_two_feet_and_arms(tmp_path: Path) -> None:
    path = tmp_path / "h1.xml"
    path.write_text(model_text("unitree_h1"))
    robot = describe(read_robot(path)).robot
    assert robot.feet == ("left_ankle_link", "right_ankle_link")
    assert {joint.name for joint in robot.joints if not joint.leg} == {
        "torso",
        *(f"{s}_{j}" for s in ("left", "right") for j in ("shoulder_pitch", "shoulder_roll", "shoulder_yaw", "elbow")),
    }
    assert "torso_link" in robot.trunk
    cfg = walking_on_flat_ground(robot)
    assert cfg.training.assist is not None
    assert cfg.training.assist.upright == pytest.approx(9.81 * robot.mass * robot.stand_height)


def test_a_urdf_needs_no_free_base_and_names_its_torque_limits(tmp_path: Path) -> None:
    path = tmp_path / "stool.urdf"
    path.write_text(stool())
    described = describe(read_robot(path))
    assert described.robot.feet == ("lf_shank", "rf_shank", "lh_shank", "rh_shank")
    assert {joint.effort for joint in described.robot.joints} == {30.0}
    assert described.standing.held
    assert not any("torque limits" in guess for guess in described.guesses)
    rotors = {link.joint.armature for link in described.robot.links if link.joint}
    assert rotors == {0.012}, "the file names none: by the torque limit"
    assert any(guess.startswith("rotor inertia") for guess in described.guesses)


def test_what_is_written_makes_the_same_robot_again(tmp_path: Path, go2: Described) -> None:
    text = module_of(go2, Path("my_dog.xml"), tmp_path / "my_dog.py")
    values: dict[str, object] = {}
    body = text.replace("register_own(ROBOT, ", "print(").replace("{__name__}", "here")
    exec(compile(body, "my_dog.py", "exec"), values)
    again = values["ROBOT"]
    assert [dataclasses.asdict(joint) for joint in again.joints] == [  # type: ignore[attr-defined]
        dataclasses.asdict(joint) for joint in go2.robot.joints
    ]
    assert again == go2.robot
    assert "--with my_dog.py --import my_dog" in text


BODY = '<body name="trunk">{free}<geom size="0.1" mass="1"/>{more}</body>'
LIMB = '<body name="limb" pos="0 0 -0.2"><joint name="knee" axis="0 1 0"/><geom size="0.02" mass="{mass}"/></body>'


@pytest.mark.parametrize(
    ("text", "message", "line"),
    [
        ("<mujoco>\n<worldbody>", "it is not XML", 2),
        ("<model/>", "<model> is neither MJCF nor URDF", 1),
        (
            f"<mujoco><worldbody>\n{BODY.format(free='', more=LIMB.format(mass=1))}</worldbody></mujoco>",
            "body 'trunk' has no free joint",
            2,
        ),
        (
            "<mujoco><worldbody>\n"
            + BODY.format(free="<freejoint/>", more=LIMB.format(mass=1))
            + '</worldbody><equality>\n<connect name="loop" body1="trunk" body2="limb" anchor="0 0 0"/></equality>'
            + "</mujoco>",
            "<connect 'loop'>: an equality constraint closes a loop",
            3,
        ),
        (
            "<mujoco><worldbody>\n"
            + BODY.format(free="<freejoint/>", more=LIMB.format(mass=1))
            + '</worldbody><actuator>\n<muscle name="calf" joint="knee"/></actuator></mujoco>',
            "<muscle 'calf'>: this actuator drives no hinge",
            3,
        ),
        (
            "<mujoco><worldbody>\n"
            + BODY.format(free="<freejoint/>", more=LIMB.format(mass=1))
            + "</worldbody></mujoco>",
            "0 feet are on the ground",
            None,
        ),
    ],
)
def test_what_cannot_walk_is_named_with_its_line(tmp_path: Path, text: str, message: str, line: int | None) -> None:
    path = tmp_path / "robot.xml"
    path.write_text(text)
    with pytest.raises(UsageError) as caught:
        describe(read_robot(path))
    assert message in caught.value.message
    assert caught.value.source == (f"{path}:{line}" if line else str(path))


def test_a_mesh_that_is_missing_is_named_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "stool.urdf"
    path.write_text(stool('<mesh filename="package://stool/meshes/foot.stl"/>'))
    with pytest.raises(UsageError) as caught:
        read_robot(path)
    assert "the mesh of link 'lf_shank' is missing: package://stool/meshes/foot.stl" in caught.value.message
    assert caught.value.source == f"{path}:13"


def test_a_mesh_that_an_mjcf_lacks_is_named_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "robot.xml"
    path.write_text(
        '<mujoco><compiler meshdir="parts"/>\n<asset>\n<mesh file="trunk.stl"/></asset><worldbody>'
        + BODY.format(free="<freejoint/>", more='<geom type="mesh" mesh="trunk"/>')
        + "</worldbody></mujoco>"
    )
    with pytest.raises(UsageError, match=r"trunk\.stl") as caught:
        read_robot(path)
    assert caught.value.source == f"{path}:3" and "meshes included" in (caught.value.hint or "")


def test_a_robot_of_another_package_with_bodies_without_names_stands(tmp_path: Path) -> None:
    folder = Path(pytest.importorskip("gymnasium").__file__).parent / "envs" / "mujoco" / "assets"
    described = describe(read_robot(folder / "ant.xml"), "gym_ant")
    assert described.robot.feet == ("aux_1_1", "aux_4_1", "aux_2_1", "aux_3_1"), "named after their parents"
    assert described.standing.held and len(described.robot.joints) == 8
    assert all(joint.partner for joint in described.robot.joints)
    assert {joint.effort for joint in described.robot.joints} == {150.0}
    states = examination_states(described.robot)
    assert states.shape[1] == 15 and np.isfinite(states).all()
    swung = np.ptp(states[25:, 7:], axis=0)
    assert (swung > 0.1).all(), "every joint moves in the film"


def test_legs_that_are_folded_away_at_zero_are_found(tmp_path: Path) -> None:
    path = tmp_path / "stool.urdf"
    path.write_text(
        stool()
        .replace('<origin xyz="0.2', '<origin rpy="0 1.4 0" xyz="0.2')
        .replace('<origin xyz="-0.2', '<origin rpy="0 1.4 0" xyz="-0.2')
    )
    described = describe(read_robot(path))
    assert described.robot.feet == ("lf_shank", "rf_shank", "lh_shank", "rh_shank")
    assert described.standing.held and described.robot.stand_height > 0.2


def test_products_of_inertia_that_no_body_has_are_left_out_and_said(tmp_path: Path) -> None:
    path = tmp_path / "stool.urdf"
    path.write_text(stool().replace('izz="0.001" ixy="0"', 'izz="0.001" ixy="0.004"', 1))
    assert read_robot(path).notes == ("products of inertia of lf_thigh are left out: no body has such",)
    path.write_text(stool().replace('ixx="0.004" iyy="0.004" izz="0.001"', 'ixx="0" iyy="0" izz="0"', 1))
    with pytest.raises(UsageError, match="inertia") as caught:
        read_robot(path)
    assert caught.value.source == f"{path}:7"


def test_a_link_without_inertia_is_named(tmp_path: Path) -> None:
    path = tmp_path / "stool.urdf"
    path.write_text(stool().replace('<mass value="0.3"/>', '<mass value="0"/>', 1))
    with pytest.raises(UsageError) as caught:
        read_robot(path)
    assert "lf_shank" in caught.value.message or "mass" in caught.value.message


def test_what_is_wrong_with_a_robot_is_named(go2: Described) -> None:
    robot = go2.robot
    weak = dataclasses.replace(
        robot, joints=tuple(dataclasses.replace(joint, stiffness=0.5, effort=1.0) for joint in robot.joints)
    )
    wrong = {one.what for one in examine(weak) if not one.right}
    assert {"standing", "torque of FL_calf_joint"} <= wrong
    low = dataclasses.replace(robot, init_height=robot.init_height - 0.1)
    assert "start" in {one.what for one in examine(low) if not one.right}
    shank = robot.links[3]
    heavy = dataclasses.replace(shank, inertia=(1.0, 0.1, 0.1))
    odd = dataclasses.replace(robot, links=tuple(heavy if link is shank else link for link in robot.links))
    assert f"inertia of {shank.name}" in {one.what for one in examine(odd) if not one.right}
    beyond = dataclasses.replace(robot.joints[-1], pos=0.5)
    assert f"range of {beyond.name}" in {
        one.what for one in examine(dataclasses.replace(robot, joints=(*robot.joints[:-1], beyond))) if not one.right
    }
    assert np.isfinite(go2.standing.torque).all()
