"""The humanoid: Isaac Lab's joints, what the policy sees and does, and what each torque costs."""

import math

import numpy as np
import pytest
from gaitway_runtime.simulators.mujoco.engine import soft_limits
from gaitway_runtime.tasks.environment import find_environment
from gaitway_runtime.tasks.humanoid.robot import JOINTS, TORQUES
from gaitway_runtime.tasks.mdp import rewards
from gaitway_runtime.tasks.state import State

from .conftest import OpenEnv

HUMANOID = find_environment("Isaac-Humanoid-v0")
LOWER = (-45, -75, -90, -90, -90, -90, -35, -90, -90, -45, -120, -60, -45, -120, -60, -160, -160, -50, -50, -50, -50)
UPPER = (45, 30, 70, 70, 70, 70, 35, 50, 50, 15, 45, 35, 15, 45, 35, 2, 2, 50, 50, 50, 50)
"""Joint limits in Isaac Lab's order, as its simulator has them [degrees]."""


def test_joints_limits_and_torques_are_isaac_labs(open_env: OpenEnv) -> None:
    contract = open_env(HUMANOID, num_envs=1).contract
    limits = np.degrees(np.array(contract.robot.joint_pos_limits))
    assert limits[:, 0] == pytest.approx(LOWER) and limits[:, 1] == pytest.approx(UPPER)
    assert contract.actions[0].scale == (
        *(67.5,) * 7,
        *(45.0,) * 2,
        *(45.0, 135.0, 45.0) * 2,
        *(90.0,) * 2,
        *(22.5,) * 4,
    )
    stiffness = dict(zip(JOINTS, contract.robot.stiffness, strict=True))
    assert (stiffness["lower_waist:1"], stiffness["left_thigh:1"], stiffness["right_shin"]) == (20.0, 20.0, 5.0)
    assert sum(contract.robot.body_masses) == pytest.approx(40.8, abs=0.1)


def test_the_two_sides_are_mirror_images(open_env: OpenEnv) -> None:
    model = open_env(HUMANOID, num_envs=1).engine.model
    for part in ("thigh", "shin", "foot", "upper_arm", "lower_arm"):
        right, left = (model.body(f"{side}_{part}") for side in ("right", "left"))
        assert right.ipos * (1, -1, 1) == pytest.approx(left.ipos)
        assert right.mass == pytest.approx(left.mass) and right.inertia == pytest.approx(left.inertia, rel=1e-6)


def test_what_the_policy_sees(open_env: OpenEnv) -> None:
    env = open_env(HUMANOID, num_envs=1)
    env.reset()
    slices = {term.name: slice(term.start, term.stop) for term in env.contract.observations}
    assert [(name, found.start) for name, found in slices.items()] == [
        ("base_height", 0),
        ("base_lin_vel", 1),
        ("base_ang_vel", 4),
        ("base_yaw_roll", 7),
        ("base_angle_to_target", 9),
        ("base_up_proj", 10),
        ("base_heading_proj", 11),
        ("joint_pos_norm", 12),
        ("joint_vel_rel", 33),
        ("feet_body_forces", 54),
        ("actions", 66),
    ]
    engine = env.engine
    engine.qpos[0, :7] = (0.0, 0.0, 1.3, math.cos(0.1), 0.0, 0.0, math.sin(0.1))
    engine.qvel[:] = 0.0
    engine.qvel[0, 5] = 0.8  # about the vertical
    joint = engine.model.joint("left_thigh:1")
    engine.qpos[0, joint.qposadr[0]], engine.qvel[0, joint.dofadr[0]] = math.radians(45), 3.0
    engine.read_motion(env.state)
    seen = env._observe()["policy"][0]
    number = JOINTS.index("left_thigh:1")
    assert seen[0] == pytest.approx(1.3)
    assert seen[slices["base_ang_vel"]] == pytest.approx([0.0, 0.0, 0.25 * 0.8], abs=1e-6)
    assert seen[slices["base_yaw_roll"]] == pytest.approx([0.2, 0.0], abs=1e-6)
    assert seen[slices["base_heading_proj"]] == pytest.approx([math.cos(0.2)], abs=1e-6)
    assert seen[slices["joint_pos_norm"]][number] == pytest.approx(1.0)
    assert seen[slices["joint_vel_rel"]][number] == pytest.approx(0.3)


def test_a_torque_costs_by_its_gear() -> None:
    gears = tuple(torque / 135.0 for torque in TORQUES)
    limits = np.radians(np.stack((LOWER, UPPER), axis=1))
    thigh, foot = JOINTS.index("right_thigh:1"), JOINTS.index("right_foot:0")
    action, speed, pos = np.zeros((1, 21)), np.zeros((1, 21)), limits.mean(axis=1)[None]
    action[0, [thigh, foot]], speed[0, [thigh, foot]] = (0.5, -1.0), (2.0, 3.0)
    pos[0, [thigh, foot]] = limits[[thigh, foot], 1]
    one = State(
        step_dt=1 / 60, action=action, joint_vel=speed, joint_pos=pos, soft_joint_pos_limits=soft_limits(limits, 1.0)
    )
    assert rewards.power_consumption(one, gears=gears) == pytest.approx([0.5 * 2.0 + 3.0 * 22.5 / 135])
    # At its limit a joint is the whole last 2 % beyond the threshold.
    assert rewards.joint_pos_limits_penalty_ratio(one, threshold=0.98, gears=gears) == pytest.approx([1 + 22.5 / 135])


def test_it_stands_for_a_moment_and_its_fall_ends_the_episode(open_env: OpenEnv) -> None:
    env = open_env(HUMANOID, num_envs=4)
    env.reset()
    heights, fallen = [], np.zeros(4, bool)
    for _ in range(70):
        transition = env.step(np.zeros((4, 21), np.float32))
        heights.append(env.state.root_pos_w[:, 2].copy())
        fallen |= transition.terminated
    assert np.array(heights)[:10].min() > 1.2, "the springs carry it at first"
    assert fallen.all() and not transition.diverged.any()
