"""What the tests of MuJoCo-Warp share: the same task on both engines, from the same dice."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from gaitway_runtime.simulators.mujoco.env import MujocoEnv
from gaitway_runtime.tasks.environment import EnvCfg, find_environment

CARTPOLE, ANT, ANYMAL = "Isaac-Cartpole-v0", "Isaac-Ant-v0", "Isaac-Velocity-Flat-Anymal-C-v0"


@pytest.fixture(scope="session", autouse=True)
def present() -> None:
    """Skip everything where MuJoCo-Warp is not installed."""
    pytest.importorskip("mujoco_warp", reason="MuJoCo-Warp is not installed: make test-warp (0.4 GB)")


@dataclass(frozen=True)
class Pair:
    """One task on MuJoCo's batch engine and on MuJoCo-Warp, with the same seed."""

    cpu: MujocoEnv
    warp: MujocoEnv

    def reset(self) -> tuple[np.ndarray, np.ndarray]:
        """Start both and return the first observations of each."""
        return self.cpu.reset()["policy"], self.warp.reset()["policy"]

    def step(self, actions: np.ndarray) -> tuple[Any, Any]:
        """Step both with the same actions."""
        return self.cpu.step(actions), self.warp.step(actions)

    def put(self) -> None:
        """Put MuJoCo-Warp's worlds into the states of the other's, warm starts included."""
        ours, theirs = self.warp.engine.batch, self.cpu.engine.batch
        for name in ("qpos", "qvel", "qacc_warmstart"):
            ours.bind(name)[:] = theirs.bind(name)
        self.warp.load_training_state({**self.cpu.training_state(), "physics": self.warp.training_state()["physics"]})
        self.warp.engine.read_motion(self.warp.state)

    def actions(self, rng: np.random.Generator, size: float) -> np.ndarray:
        """Draw actions of all worlds."""
        return (size * rng.standard_normal((self.cpu.num_envs, self.cpu.num_actions))).astype(np.float32)


OpenPair = Callable[..., Pair]


@pytest.fixture
def open_pair() -> Iterator[OpenPair]:
    """Make pairs of environments that are closed when the test ends."""
    from gaitway_runtime.simulators.mujoco_warp.batch import warp_engine

    made: list[MujocoEnv] = []

    def make(task: str | EnvCfg, num_envs: int = 4, *, training: bool = False, seed: int = 3) -> Pair:
        cfg = find_environment(task) if isinstance(task, str) else task
        words = {"num_envs": num_envs, "training": training, "seed": seed}
        made.extend((MujocoEnv(cfg, nthread=1, **words), MujocoEnv(cfg, physics=warp_engine(), **words)))
        return Pair(*made[-2:])

    yield make
    for env in made:
        env.close()
