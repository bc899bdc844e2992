"""The generated robots have the published numbers."""

import mujoco
import numpy as np
import pytest
from gaitway_runtime.errors import UsageError
from gaitway_runtime.simulators.mujoco.models import ROBOTS, build_model, compile_robot, robot_spec
from gaitway_runtime.simulators.mujoco.tasks import TASKS

ANYMAL = robot_spec("anymal_c")


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
    degrees = [np.rad2deg(model.joint(name).range).round(3).tolist() for name in robot_spec("ant").joint_names]
    back, forth = [-100.0, -30.0], [30.0, 100.0]
    assert degrees == [[-40.0, 40.0]] * 4 + [forth, back, back, forth]
    assert model.dof_armature[6:].tolist() == [0.01] * 8
    assert model.dof_damping.tolist() == [0.0] * 14


def test_cartpole_is_two_kilograms_on_a_damped_slider() -> None:
    model = compile_robot("cartpole", timestep=1 / 120)
    assert model.body_mass.tolist() == [0.0, 1.0, 1.0]
    assert model.body("pole").ipos == pytest.approx([0, 0, 0.47])
    assert model.dof_damping.tolist() == [10.0, 0.0]


@pytest.mark.parametrize("robot", ROBOTS)
def test_looks_change_no_physics(robot: str) -> None:
    plain, seen = (compile_robot(robot, timestep=0.005, visual=visual) for visual in (False, True))
    assert (seen.nq, seen.nv, seen.nu) == (plain.nq, plain.nv, plain.nu)
    assert seen.body_mass == pytest.approx(plain.body_mass)
    assert seen.body_inertia == pytest.approx(plain.body_inertia)
    assert seen.ngeom > plain.ngeom


def test_a_model_is_had_by_the_tasks_name() -> None:
    for name, task in TASKS.items():
        model = build_model(name)
        assert model.opt.timestep == task.physics_dt
        assert model.camera("track").id == 0
    assert build_model("Isaac-Ant", timestep=0.002).opt.timestep == 0.002
    with pytest.raises(UsageError, match="unknown"):
        build_model("Isaac-Aunt-v0")
