"""Other simulators that step such robots on CPUs: gymnasium's vectorised ``Ant-v5``, and envpool's ``Ant-v5`` and Go1.

envpool pins other libraries than gaitway does, so it has an environment of its own and this file runs there as a
program: ``python benchmarks/peers.py envpool`` prints one JSON line a task.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clock import Spent, spend

ANT = "Ant-v5"
GO1 = "Go1JoystickFlatTerrain-v1"
ENVPOOL_ENVS = 64
"""envpool compiles a model per environment before the first step: 512 take minutes."""


@dataclass(frozen=True)
class Peer:
    """What a step of another simulator costs."""

    name: str
    spent: Spent


def measure(envpool_python: Path | None) -> Iterator[Peer]:
    """Measure gymnasium here, and envpool with the Python that has it; without one, not."""
    yield Peer(f"gymnasium AsyncVectorEnv {ANT} (16 processes)", gymnasium_ant(num_envs=16, steps=200))
    if envpool_python is None or not envpool_python.exists():
        return
    command = [str(envpool_python), __file__, "envpool"]
    told = subprocess.run(command, check=True, capture_output=True, text=True, timeout=300).stdout
    for line in told.splitlines():
        row = json.loads(line)
        yield Peer(row["name"], Spent(**row["spent"]))


def gymnasium_ant(num_envs: int, steps: int) -> Spent:
    """Step ``AsyncVectorEnv`` with random actions; every environment is a process of its own.

    One step of ``Ant-v5`` is 50 ms of the ant's time (five physics steps of 10 ms, Runge-Kutta), one of
    ``Isaac-Ant-v0`` 16.7 ms (two of 8.3 ms): a step here is worth three there.
    """
    import gymnasium

    envs = gymnasium.vector.AsyncVectorEnv([lambda: gymnasium.make(ANT)] * num_envs)
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


def envpool(task: str, seconds: float = 4.0) -> dict[str, Any]:
    """Step an envpool task with random actions on two threads; this process is envpool's own.

    One step of the Go1 joystick task is 20 ms of the robot's time (five physics steps of 4 ms), observations and
    rewards included, as one of the quadruped's here (four of 5 ms).
    """
    import envpool as library
    import numpy as np

    envs = library.make_gymnasium(task, num_envs=ENVPOOL_ENVS, num_threads=2)
    envs.reset()
    actions = np.stack([envs.action_space.sample() for _ in range(ENVPOOL_ENVS)])
    for _ in range(5):
        envs.step(actions)
    steps, wall, cpu = 0, time.perf_counter(), time.process_time()
    while time.perf_counter() - wall < seconds:
        envs.step(actions)
        steps += ENVPOOL_ENVS
    spent = {"steps": steps, "wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}
    return {"name": f"envpool {library.__version__} {task} ({ENVPOOL_ENVS} environments)", "spent": spent}


if __name__ == "__main__" and sys.argv[1:] == ["envpool"]:
    for name in (ANT, GO1):
        print(json.dumps(envpool(name)), flush=True)
