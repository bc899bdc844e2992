"""Imperfections of a real robot, one at a time: what arrives late, what is weak, what is measured wrongly."""

from dataclasses import replace

import numpy as np
import pytest
from gaitway_runtime.simulators.mujoco.env import MujocoEnv
from gaitway_runtime.simulators.mujoco.imperfections import Delay
from gaitway_runtime.tasks.environment import EnvCfg, Imperfections, find_environment

from .conftest import OpenEnv

FLAT = find_environment("Isaac-Velocity-Flat-Unitree-Go2-v0")


def with_conditions(**conditions: float) -> EnvCfg:
    return replace(FLAT, conditions=replace(FLAT.conditions, **conditions))  # type: ignore[arg-type]


def test_values_arrive_late_world_by_world() -> None:
    delay = Delay(np.array([0, 1, 2]), np.zeros((3, 1)))
    seen = [delay.pass_on(np.full((3, 1), float(step)))[:, 0].tolist() for step in (1, 2, 3)]
    assert seen == [[1, 0, 0], [2, 1, 0], [3, 2, 1]]
    delay.restart(np.array([2]), np.full((1, 1), 9.0))
    assert delay.pass_on(np.full((3, 1), 4.0))[:, 0].tolist() == [4, 3, 9]


def test_a_late_action_moves_the_robot_a_step_later(open_env: OpenEnv) -> None:
    late, nominal = open_env(with_conditions(action_delay=1), num_envs=1), open_env(FLAT, num_envs=1)
    action = np.ones((1, 12), np.float32)
    for env in (late, nominal):
        env.reset()
        env.step(action)
    assert nominal.engine.ctrl[0] == pytest.approx(nominal.state.default_joint_pos + 0.25)
    assert late.engine.ctrl[0] == pytest.approx(late.state.default_joint_pos)
    assert late.state.action[0] == pytest.approx(np.ones(12)), "the policy's own output is no older"
    late.step(action)
    assert late.engine.ctrl[0] == pytest.approx(late.state.default_joint_pos + 0.25)


def test_a_late_observation_is_that_of_the_step_before(open_env: OpenEnv) -> None:
    late, nominal = open_env(with_conditions(observation_delay=1), num_envs=2), open_env(FLAT, num_envs=2)
    rng, seen = np.random.default_rng(0), {}
    actions = rng.normal(size=(4, 2, 12)).astype(np.float32)
    for name, env in (("late", late), ("nominal", nominal)):
        seen[name] = [env.reset()["policy"].copy(), *(env.step(a).observations["policy"].copy() for a in actions)]
    assert np.array_equal(seen["late"][0], seen["nominal"][0])
    for step in range(1, 5):
        assert np.array_equal(seen["late"][step], seen["nominal"][step - 1])


def test_an_encoder_that_is_off_is_off_for_the_policy_and_for_the_drive(open_env: OpenEnv) -> None:
    env = open_env(with_conditions(joint_offset=0.1), num_envs=3)
    seen = env.reset()["policy"][:, 12:24]
    offset = env._imperfect.offset
    assert np.abs(offset).max() <= 0.1
    assert np.abs(offset).min() > 0.0
    assert seen == pytest.approx(env.state.joint_pos - env.state.default_joint_pos + offset, abs=1e-6)
    env.step(np.zeros((3, 12), np.float32))
    assert env.engine.ctrl == pytest.approx(env.state.default_joint_pos - offset)


def test_sensors_drift(open_env: OpenEnv) -> None:
    env = open_env(with_conditions(gyro_bias=0.5, tilt_bias=0.2), num_envs=4)
    seen = env.reset()["policy"]
    assert np.abs(seen[:, 3:6] - env.state.root_ang_vel_b).max() > 0.05
    assert np.abs(seen[:, 6:8] - env.state.projected_gravity_b[:, :2]).max() > 0.02
    assert seen[:, 8] == pytest.approx(env.state.projected_gravity_b[:, 2], abs=1e-6)


def test_weak_motors_and_dry_joints(open_env: OpenEnv) -> None:
    env = open_env(with_conditions(motor_strength=0.5, joint_friction=0.7), num_envs=2)
    env.reset()
    assert env.engine.batch.expand("actuator_gainprm")[:, :, 0] == pytest.approx(np.full((2, 12), 12.5))
    assert env.engine.batch.expand("dof_frictionloss")[:, 6:] == pytest.approx(np.full((2, 12), 0.7))


def test_training_draws_them_for_each_world_where_a_task_asks_for_it() -> None:
    asked = Imperfections(action_delay=(0, 2), motor_strength=(0.8, 1.2), joint_offset=(-0.05, 0.05))
    env = MujocoEnv(
        replace(FLAT, training=replace(FLAT.training, imperfections=asked)), num_envs=64, training=True, seed=0
    )
    assert set(env._imperfect.action_delay.tolist()) == {0, 1, 2}
    gains = env.engine.batch.expand("actuator_gainprm")[:, :, 0]
    assert (gains.min() >= 20.0, gains.max() <= 30.0, np.ptp(gains) > 5.0) == (True, True, True)
    groups = env.reset()
    clean = groups["critic"][:, 12:24]
    assert clean == pytest.approx(env.state.joint_pos - env.state.default_joint_pos, abs=1e-6), (
        "the critic sees the truth"
    )
    env.close()
