"""What else steps an ant on CPUs: gymnasium's vectorised ``Ant-v5``."""

from __future__ import annotations

import gymnasium
from clock import Spent, spend

PEER = "Ant-v5"


def gymnasium_ant(num_envs: int, steps: int) -> Spent:
    """Step ``AsyncVectorEnv`` with random actions; every environment is a process of its own.

    One step of ``Ant-v5`` is 50 ms of the ant's time (five physics steps of 10 ms, Runge-Kutta), one of
    ``Isaac-Ant-v0`` 16.7 ms (two of 8.3 ms): a step here is worth three there.
    """
    envs = gymnasium.vector.AsyncVectorEnv([lambda: gymnasium.make(PEER)] * num_envs)
    envs.action_space.seed(0)
    actions = [envs.action_space.sample() for _ in range(16)]

    def run(count: int) -> None:
        for number in range(count):
            envs.step(actions[number % 16])

    envs.reset(seed=0)
    run(20)
    spent = spend(steps * num_envs, lambda: run(steps))
    envs.close()
    return spent
