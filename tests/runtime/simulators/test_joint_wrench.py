"""The ant's incoming joint wrench against Isaac Lab 3.0's sensor: sign, frame and point of reference.

In free flight it follows from the state and the torques alone. On the ground it hangs on how each simulator shares out
contact forces: there it cannot be compared.
"""

from __future__ import annotations

from pathlib import Path

import mujoco
import numpy as np
from gaitway_runtime.simulators.mujoco.models import compile_robot
from numpy.typing import NDArray

from tests.fakes.replay import Trace

DATA = Path(__file__).parents[2] / "data"


def test_the_ants_wrench_is_that_of_isaac_labs_sensor_in_flight() -> None:
    trace = Trace.read(DATA / "isaaclab3_ant_in_flight.npz")
    model = compile_robot("ant", timestep=trace.about["physics_dt"])
    names = trace.about["joint_names"]
    joints = [model.joint(name) for name in names]
    dofs = [joint.dofadr[0] for joint in joints]
    model.dof_armature[dofs], model.dof_damping[dofs] = trace.about["armature"], trace.about["damping"]
    data = mujoco.MjData(model)
    largest = 0.0
    for step in range(trace.steps):
        for world in range(trace["action"].shape[1]):
            data.qpos[:3] = trace["physics/root_pos"][step, world, 0]
            data.qpos[3:7] = trace["physics/root_quat"][step, world, 0]
            data.qvel[:3] = trace["physics/root_lin_vel_w"][step, world, 0]
            data.qvel[3:6] = trace["physics/root_ang_vel_b"][step, world, 0]
            data.qpos[[joint.qposadr[0] for joint in joints]] = trace["physics/joint_pos"][step, world, 0]
            data.qvel[dofs] = trace["physics/joint_vel"][step, world, 0]
            data.ctrl[[model.actuator(name).id for name in names]] = trace["target"][step, world]
            mujoco.mj_forward(model, data)
            for number, foot in enumerate(trace.about["wrench_bodies"]):
                turned = from_x(model.joint(foot).axis)
                force, torque = trace["physics/wrench"][step, world, 1, number].reshape(2, 3) @ turned.T
                np.testing.assert_allclose(data.sensor(f"force_{foot}").data, force, atol=0.02)
                np.testing.assert_allclose(data.sensor(f"torque_{foot}").data, torque, atol=0.005)
                largest = max(largest, float(np.abs(force).max()))
    assert largest > 0.5, "there is something to compare"


def from_x(axis: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the rotation that turns x into an axis: the stand-in's joint frames have the joint's axis as their x."""
    matrix = np.zeros(9)
    quat = np.array([1.0 + axis[0], 0.0, -axis[2], axis[1]])
    mujoco.mju_quat2Mat(matrix, quat / np.linalg.norm(quat))
    return matrix.reshape(3, 3)
