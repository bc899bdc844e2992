"""Small environments for the simulator's tests."""

from collections.abc import Callable, Iterator

import pytest
from gaitway_runtime.simulators.mujoco.env import MujocoEnv
from gaitway_runtime.tasks.environment import find_environment

OpenEnv = Callable[..., MujocoEnv]


@pytest.fixture
def open_env() -> Iterator[OpenEnv]:
    """Make environments that are closed when the test ends."""
    made: list[MujocoEnv] = []

    def make(task: str, num_envs: int = 4, *, training: bool = False, seed: int = 3, **options: object) -> MujocoEnv:
        cfg = find_environment(task) if isinstance(task, str) else task
        env = MujocoEnv(cfg, num_envs=num_envs, training=training, seed=seed, nthread=1, **options)
        made.append(env)
        return env

    yield make
    for env in made:
        env.close()
