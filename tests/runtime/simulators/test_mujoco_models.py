"""The generated robots have the published numbers."""

import os
import subprocess
import sys

import mujoco
import numpy as np
import pytest
from gaitway_runtime.simulators.mujoco.models import build_model, compile_robot
from gaitway_runtime.spec import catalog
from gaitway_runtime.spec.errors import UsageError
from gaitway_runtime.tasks.environment import find_environment
from gaitway_runtime.tasks.robots import ROBOTS

ANYMAL = ROBOTS.get("anymal_c")


def stand(model: mujoco.MjModel, seconds: float) -> mujoco.MjData:
    data = mujoco.MjData(model)
    for name, angle in zip(ANYMAL.joint_names, ANYMAL.default_joint_pos, strict=True):
        data.joint(name).qpos[0] = angle
    data.ctrl[:] = ANYMAL.default_joint_pos
    for _ in range(round(seconds / model.opt.timestep)):
        mujoco.mj_step(model, data)
    return data


def test_anymal_weighs_what_anybotics_says() -> None:
    model = compile_robot("anymal_c", timestep=0.005)
    assert model.body_mass.sum() == pytest.approx(52.135, abs=0.005)
    assert model.body("base").mass[0] == pytest.approx(26.3732)
    assert model.body("base").ipos == pytest.approx([-0.01779, -0.00018, 0.0085])


def test_anymal_joints_are_in_isaac_labs_order() -> None:
    model = compile_robot("anymal_c", timestep=0.005)
    order = [f"{leg}_{joint}" for joint in ("HAA", "HFE", "KFE") for leg in ("LF", "LH", "RF", "RH")]
    assert list(ANYMAL.joint_names) == order
    assert [model.actuator(number).name for number in range(model.nu)] == order
    # Radians: read as degrees, a knee could not bend and the robot would stand on straight legs.
    assert model.joint("LF_KFE").range == pytest.approx([-9.42478, 9.42478])
    assert model.joint("LF_HAA").range == pytest.approx([-0.72, 0.49])
    assert model.joint("RH_HAA").range == pytest.approx([-0.49, 0.72])


def test_anymal_feet_are_where_the_description_puts_them() -> None:
    data = stand(compile_robot("anymal_c", timestep=0.005), 0.0)
    mujoco.mj_forward(compile_robot("anymal_c", timestep=0.005), data)
    for leg, x, y in (("LF", 1, 1), ("LH", -1, 1), ("RF", 1, -1), ("RH", -1, -1)):
        foot = data.body(f"{leg}_FOOT").xpos - data.body("base").xpos
        assert foot == pytest.approx([x * 0.4527, y * 0.3012, -0.5188], abs=2e-4)


@pytest.mark.parametrize("timestep", [0.005, 0.01])
def test_anymal_stands_on_its_default_pose(timestep: float) -> None:
    data = stand(compile_robot("anymal_c", timestep=timestep), 3.0)
    assert 0.48 <= data.qpos[2] <= 0.53, "the base sags more than with the drive gains of the description"
    assert np.abs(data.actuator_force).max() < 30.0


def test_the_robots_friction_counts_not_the_grounds() -> None:
    model = compile_robot("anymal_c", timestep=0.005)
    data = stand(model, 1.0)
    assert data.ncon >= 4
    assert data.contact[0].friction[0] == pytest.approx(0.7)


def test_ant_has_the_range_and_armature_of_its_description() -> None:
    model = compile_robot("ant", timestep=1 / 120)
    degrees = [np.rad2deg(model.joint(name).range).round(3).tolist() for name in ROBOTS.get("ant").joint_names]
    back, forth = [-100.0, -30.0], [30.0, 100.0]
    assert degrees == [[-40.0, 40.0]] * 4 + [forth, back, back, forth]
    assert model.dof_armature[6:].tolist() == [0.01] * 8
    assert model.dof_damping.tolist() == [0.0] * 14


def test_cartpole_is_two_kilograms_on_a_damped_slider() -> None:
    model = compile_robot("cartpole", timestep=1 / 120)
    assert model.body_mass.tolist() == [0.0, 1.0, 1.0]
    assert model.body("pole").ipos == pytest.approx([0, 0, 0.47])
    assert model.dof_damping.tolist() == [10.0, 0.0]


@pytest.mark.parametrize("robot", ROBOTS.names())
def test_looks_change_no_physics(robot: str) -> None:
    plain, seen = (compile_robot(robot, timestep=0.005, visual=visual) for visual in (False, True))
    assert (seen.nq, seen.nv, seen.nu) == (plain.nq, plain.nv, plain.nu)
    assert seen.body_mass == pytest.approx(plain.body_mass)
    assert seen.body_inertia == pytest.approx(plain.body_inertia)
    assert seen.ngeom > plain.ngeom


def test_a_model_is_had_by_the_tasks_name() -> None:
    for name in (task.name for task in catalog.tasks()):
        task = find_environment(name)
        model = build_model(name)
        assert model.opt.timestep == task.physics_dt
        assert model.camera("track").id == 0
    assert build_model("Isaac-Ant", timestep=0.002).opt.timestep == 0.002
    with pytest.raises(UsageError, match="unknown"):
        build_model("Isaac-Aunt-v0")


@pytest.mark.parametrize(
    ("robot", "mass", "links"),
    [
        ("anymal_b", 33.331, 17),
        ("anymal_d", 51.539, 17),
        ("unitree_go2", 15.206, 17),
        ("unitree_go1", 12.743, 17),
        ("unitree_a1", 12.453, 17),
        ("unitree_h1", 51.437, 20),
        ("unitree_g1", 32.239, 38),
    ],
)
def test_a_robot_weighs_what_its_maker_says(robot: str, mass: float, links: int) -> None:
    model = compile_robot(robot, timestep=0.005)
    assert model.body_mass.sum() == pytest.approx(mass, abs=0.005)
    assert model.nbody == 1 + links


@pytest.mark.parametrize("robot", ["unitree_go2", "unitree_go1", "unitree_a1"])
def test_unitree_quadrupeds_joints_are_in_isaac_labs_order(robot: str) -> None:
    legs = ("FL", "FR", "RL", "RR")
    assert ROBOTS.get(robot).joint_names == tuple(
        f"{leg}_{part}_joint" for part in ("hip", "thigh", "calf") for leg in legs
    )


def test_g1_joints_are_in_isaac_labs_order() -> None:
    """As in Isaac Lab's own table for policies that move from PhysX to Newton."""
    names = [name.removesuffix("_joint") for name in ROBOTS.get("unitree_g1").joint_names]
    assert names[:5] == ["left_hip_pitch", "right_hip_pitch", "torso", "left_hip_roll", "right_hip_roll"]
    assert names[21:29] == [
        *("left_elbow_roll", "right_elbow_roll", "left_five", "left_three", "left_zero"),
        *("right_five", "right_three", "right_zero"),
    ]
    assert names[29:] == [
        *("left_six", "left_four", "left_one", "right_six", "right_four", "right_one", "left_two", "right_two"),
    ]


@pytest.mark.parametrize("robot", [name for name in ROBOTS.names() if ROBOTS.get(name).actuator == "implicit_pd"])
def test_drives_have_the_gains_and_limits_of_the_robot(robot: str) -> None:
    spec, model = ROBOTS.get(robot), compile_robot(robot, timestep=0.005)
    assert [model.actuator(number).name for number in range(model.nu)] == list(spec.joint_names)
    assert model.actuator_gainprm[:, 0] == pytest.approx(spec.stiffness)
    assert -model.actuator_biasprm[:, 2] == pytest.approx(spec.damping)
    assert model.actuator_forcerange[:, 1] == pytest.approx(spec.effort_limits)


@pytest.mark.parametrize("robot", [name for name in ROBOTS.names() if ROBOTS.get(name).mirrors])
def test_a_robots_mirrors_are_true_of_its_pose_and_gains(robot: str) -> None:
    spec = ROBOTS.get(robot)
    for mirror in spec.mirrors:
        index, sign = (list(part) for part in zip(*mirror.joints, strict=True))
        assert np.array(spec.default_joint_pos)[index] * sign == pytest.approx(spec.default_joint_pos), mirror.name
        for values in (spec.stiffness, spec.damping, spec.effort_limits):
            assert [values[k] for k in index] == list(values)


@pytest.mark.parametrize("robot", [name for name in ROBOTS.names() if "feet" in ROBOTS.get(name).contact_bodies])
def test_soles_touch_the_ground_at_the_start_or_just_above_it(robot: str) -> None:
    spec, model = ROBOTS.get(robot), compile_robot(robot, timestep=0.005)
    data = mujoco.MjData(model)
    for name, angle in zip(spec.joint_names, spec.default_joint_pos, strict=True):
        data.joint(name).qpos[0] = angle
    mujoco.mj_forward(model, data)
    assert data.ncon == 0
    lowest = min(data.body(foot).xpos[2] for foot in spec.contact_bodies["feet"])
    assert 0.0 < lowest < 0.16


def test_robots_can_be_written_by_the_older_mujoco_of_isaac_lab() -> None:
    code = "import sys; sys.modules['mujoco.batch'] = None; import gaitway_runtime.simulators.mujoco.models"
    subprocess.run(
        [sys.executable, "-c", code], check=True, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    )
