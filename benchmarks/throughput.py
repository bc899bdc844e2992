"""Full environments beside the bare physics of the same model in the same states, block by block."""

from __future__ import annotations

import statistics
from dataclasses import dataclass

import numpy as np
from clock import Spent, spend
from gaitway_runtime.simulators.mujoco.env import MujocoEnv
from gaitway_runtime.tasks.environment import find_environment
from mujoco.batch import Batch

LATE = 10_000_000
"""Environment steps after which no task is still in its beginnings: the rough one starts on flat ground."""


@dataclass(frozen=True)
class Row:
    """One environment's measurement."""

    name: str
    physics: tuple[Spent, ...]
    full: tuple[Spent, ...]

    @property
    def ratio(self) -> float:
        """Full environment over bare physics, in steps per second: the median over pairs of blocks."""
        return statistics.median(
            full.per_second / bare.per_second for bare, full in zip(self.physics, self.full, strict=True)
        )

    @property
    def cpu_ratio(self) -> float:
        """The same in CPU time."""
        return statistics.median(bare.cpu_us / full.cpu_us for bare, full in zip(self.physics, self.full, strict=True))


def measure(task: str, *, training: bool, num_envs: int, nthread: int, blocks: int, seconds: float) -> Row:
    """Step an environment and the bare physics by turns.

    Before each block the bare worlds get the environment's states, and both then get the same actions: a fallen robot
    costs more physics than a standing one, so comparing different states would flatter or slander.

    Args:
        task: Isaac Lab's name.
        training: Whether noise, pushes, randomisation and shaping are on.
        num_envs: Worlds.
        nthread: Threads of the physics.
        blocks: Pairs of blocks.
        seconds: About how long a block takes.
    """
    env = MujocoEnv(find_environment(task), num_envs=num_envs, training=training, seed=0, nthread=nthread)
    bare = Batch(env.engine.model, num_envs, nthread)
    bare_ctrl, decimation = bare.bind("ctrl"), env.engine.decimation
    env.env_steps = LATE
    env.reset()
    rng = np.random.default_rng(0)
    env.episode_length = rng.integers(0, env.max_episode_length, num_envs)
    actions = 0.5 * rng.standard_normal((16, num_envs, env.num_actions), dtype=np.float32)

    def step_env(count: int) -> None:
        for number in range(count):
            env.step(actions[number % 16])

    def step_bare(count: int) -> None:
        for number in range(count):
            bare_ctrl[:, moved] = targets[number % 16]
            bare.step(nstep=decimation)

    targets = actions * env.cfg.action.scale + env._action_offset
    moved = env._moved or slice(None)  # a gripper keeps what it was told
    step_env(64)
    bare_ctrl[:] = env.engine.ctrl
    count = max(8, round(seconds / (spend(16, lambda: step_env(16)).wall / 16)))
    physics, full = [], []
    for _ in range(blocks):
        bare.state[:] = env.engine.batch.state
        physics.append(spend(count * num_envs, lambda: step_bare(count)))
        full.append(spend(count * num_envs, lambda: step_env(count)))
    env.close()
    return Row(task + (" (training)" if training else ""), tuple(physics), tuple(full))
