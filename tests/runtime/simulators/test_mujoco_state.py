"""The embedded simulator's worlds, saved and restored: what follows is the same to the last bit."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import numpy as np
import pytest
from gaitway_runtime.simulators import mujoco
from gaitway_runtime.simulators.mujoco.env import MujocoEnv
from gaitway_runtime.spec.job import TrainJob
from numpy.typing import NDArray

WORLDS = 32


@contextlib.contextmanager
def opened(task: str, seed: int = 5) -> Iterator[MujocoEnv]:
    job = TrainJob(task=task, num_envs=WORLDS, seed=seed)
    with contextlib.closing(mujoco.open_env(job, num_envs=WORLDS, training=True, seed=seed)) as env:
        env.reset(seed)
        yield env


def actions(rng: np.random.Generator, env: MujocoEnv) -> NDArray[np.float32]:
    return rng.normal(0, 0.5, (WORLDS, env.num_actions)).astype(np.float32)


@pytest.mark.parametrize(
    "task",
    [
        *("Isaac-Cartpole-v0", "Isaac-Ant-v0", "Isaac-Reach-Franka-v0"),
        *("Isaac-Velocity-Flat-Anymal-C-v0", "Isaac-Velocity-Rough-Anymal-C-v0"),
    ],
)
def test_restored_worlds_go_on_bit_for_bit(task: str) -> None:
    with opened(task) as env, opened(task) as other:
        rng = np.random.default_rng(1)
        # Near their ends: the steps below see episodes end, new commands and new levels.
        env.episode_length[:] = rng.integers(env.max_episode_length - 80, env.max_episode_length, WORLDS)
        for _ in range(50):
            env.step(actions(rng, env))
        other.load_training_state(env.training_state())
        ended = 0
        for _ in range(100):
            given = actions(rng, env)
            step, again = env.step(given), other.step(given)
            ended += int((step.terminated | step.truncated).sum())
            assert all(np.array_equal(values, again.observations[name]) for name, values in step.observations.items())
            assert np.array_equal(step.rewards, again.rewards)
            assert np.array_equal(step.terminated, again.terminated)
            assert step.log == again.log
        assert ended
        assert other.env_steps == env.env_steps


def test_what_was_drawn_for_each_world_is_restored_too() -> None:
    task = "Isaac-Velocity-Flat-Anymal-C-v0"
    with opened(task, seed=5) as env, opened(task, seed=6) as other:
        assert not np.array_equal(env.engine.base_com, other.engine.base_com)
        other.load_training_state(env.training_state())
        assert np.array_equal(env.engine.base_com, other.engine.base_com)
        given = actions(np.random.default_rng(2), env)
        assert np.array_equal(env.step(given).rewards, other.step(given).rewards)
