"""The helping hand in training: what it does to a robot, and how it fades."""

from dataclasses import replace

import numpy as np
import pytest
from gaitway_runtime.tasks.environment import Assist, find_environment

from .conftest import OpenEnv

TASK = find_environment("Isaac-Velocity-Flat-H1-v0")


def test_it_holds_a_robot_upright_in_proportion_to_its_share(open_env: OpenEnv) -> None:
    env = open_env(TASK, num_envs=9, training=True)
    env.reset()
    shares = env._assist._share
    assert sorted(shares.tolist()) == pytest.approx(np.linspace(0, 1, 9).tolist())
    env.engine.qpos[:, 3:7] = (np.cos(0.1), np.sin(0.1), 0, 0)  # rolled by 0.2 rad about x
    env.engine.qvel[:] = 0.0
    env.engine.read_motion(env.state)
    env._assist.apply(env.state)
    wrench = env.engine.external_wrench()
    assert wrench[:, 3] == pytest.approx(-shares * 500.0 * np.sin(0.2))
    assert wrench[:, 4] == pytest.approx(np.zeros(9), abs=1e-9)


def test_it_draws_a_robot_along_its_command(open_env: OpenEnv) -> None:
    env = open_env(TASK, num_envs=2, training=True)
    env.reset()
    env.engine.qpos[:, 3:7] = (np.cos(np.pi / 4), 0, 0, np.sin(np.pi / 4))  # heading along the world's y
    env.engine.qvel[:] = 0.0
    env.engine.read_motion(env.state)
    env.state.command[:] = (1.0, 0.0, 0.5)
    env._assist.apply(env.state)
    helped = env.engine.external_wrench()[env._assist._share == 1.0][0]
    assert helped[[0, 1, 5]] == pytest.approx([0.0, 250.0, 20.0], abs=1e-9)


def test_it_fades_while_the_helped_do_well_and_stays_away(open_env: OpenEnv) -> None:
    env = open_env(
        replace(TASK, training=replace(TASK.training, assist=Assist(every=1, fading=0.5))), num_envs=4, training=True
    )
    env.reset()
    assist, none = env._assist, np.zeros(4, bool)
    env.state.root_lin_vel_b[:, :2] = env.state.command[:, :2]
    assist.fade(env.state, none)
    assert assist.level == 1.0, "it has not seen enough yet"
    for _ in range(800):
        assist.fade(env.state, none)
    assert assist.level == 0.0
    assist.apply(env.state)
    assert not env.engine.external_wrench().any()
    assist.fade(env.state, np.ones(4, bool))
    assert assist.level == 0.0


def test_an_evaluation_has_none(open_env: OpenEnv) -> None:
    assert open_env(TASK, num_envs=1, training=False)._assist is None


def test_training_ends_episodes_of_its_own_and_draws_its_own_commands(open_env: OpenEnv) -> None:
    training, judged = (open_env(TASK, num_envs=64, training=value) for value in (True, False))
    for env in (training, judged):
        env.reset()
    assert training.state.command[:, 0].min() >= 0.2 or (training.state.command[:, 0] == 0).any()
    assert {term.name for term in training._terminations} - {term.name for term in judged._terminations} == {
        "low",
        "tilted",
    }
    training.env_steps = 10_000_000
    training.step(np.zeros((64, 19), np.float32))
    assert training._commands.cfg.lin_vel_x == (0.0, 1.0)
    assert training._commands.cfg.resampling_time == (3.0, 8.0)


@pytest.mark.parametrize("robot", ["H1", "G1"])
def test_it_holds_a_robot_without_shaking_it(open_env: OpenEnv, robot: str) -> None:
    env = open_env(find_environment(f"Isaac-Velocity-Flat-{robot}-v0"), num_envs=12, training=True)
    env.reset()
    helped = env._assist._share > 0.5
    rng, turning = np.random.default_rng(0), []
    for _ in range(25):
        env.step(rng.normal(scale=0.1, size=(12, env.num_actions)).astype(np.float32))
        turning.append(np.abs(env.state.root_ang_vel_b[:, 2]))
    spin = np.mean(turning, axis=0)
    assert spin[helped].mean() < 2.0, "a yaw torque that is too strong for a control step spins it"
