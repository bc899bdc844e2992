"""``python benchmarks/warp_throughput.py``: steps per second of ``--simulator mujoco-warp``, on the GPU that is there.

Three columns, each the best of some blocks: the physics alone, stepped on the device with nothing sent or brought back;
the same with states and records carried to the host and back, as an environment does; the whole environment with
observations, rewards and resets. What lies between the columns is what keeping the terms on the device could gain.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import mujoco_warp
import numpy as np
import warp as wp
from gaitway_runtime.simulators.mujoco.env import MujocoEnv
from gaitway_runtime.simulators.mujoco_warp.batch import WarpBatch, choose_device, warp_engine
from gaitway_runtime.tasks.environment import find_environment

TASKS = ("Isaac-Cartpole-v0", "Isaac-Ant-v0", "Isaac-Velocity-Flat-Anymal-C-v0")
LINE = "| {:<40} | {:>8} | {:>12} | {:>14} | {:>12} | {:>9} | {:>9} |"


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--device", default=choose_device(), help="Warp's name of a device (default: %(default)s)")
    parser.add_argument("--worlds", type=int, nargs="+", help="numbers of worlds (default: 1024 to 65536; CPU: 16)")
    parser.add_argument("--tasks", nargs="+", default=TASKS)
    parser.add_argument("--evaluation", action="store_true", help="evaluation's finer physics in place of training's")
    parser.add_argument("--seconds", type=float, default=2.0, help="length of a block")
    parser.add_argument("--blocks", type=int, default=3)
    options = parser.parse_args()
    cpu = options.device == "cpu"
    print(f"mujoco-warp {mujoco_warp.__version__}, warp {wp.__version__}, {wp.get_device(options.device).name}\n")
    heads = ("task", "worlds", "physics", "with transfers", "environment", "MiB", "first s")
    print(LINE.format(*heads))
    print(LINE.format(*("---" for _ in heads)))
    for task in options.tasks:
        for worlds in options.worlds or ([16] if cpu else [1024, 4096, 16384, 65536]):
            rates, first = measure(task, worlds, options)
            device = wp.get_device(options.device)
            memory = (device.total_memory - device.free_memory) >> 20 if device.is_cuda else 0
            print(LINE.format(task, worlds, *(f"{rate:,.0f}" for rate in rates), memory, f"{first:.1f}"), flush=True)


def measure(task: str, worlds: int, options: argparse.Namespace) -> tuple[list[float], float]:
    """Return the steps per second of each column, and how long the first step took, kernels and graph included [s]."""
    began = time.perf_counter()
    physics, training = warp_engine(options.device), not options.evaluation
    env = MujocoEnv(find_environment(task), num_envs=worlds, training=training, seed=0, physics=physics)
    env.reset()
    rng = np.random.default_rng(0)
    env.episode_length = rng.integers(0, env.max_episode_length, worlds)
    actions = 0.5 * rng.standard_normal((16, worlds, env.num_actions), dtype=np.float32)
    for action in actions[:2]:  # the second replays the graph that the first recorded
        env.step(action)
    first = time.perf_counter() - began
    batch, engine = env.engine.batch, env.engine
    assert isinstance(batch, WarpBatch)
    names = tuple(engine._records)

    def on_device() -> None:
        with wp.ScopedDevice(options.device):
            batch._run(engine.decimation, names)

    def with_transfers() -> None:
        if names:
            batch.rollout(engine.decimation, record=names, out=engine._records)
        else:
            batch.step(nstep=engine.decimation)

    def whole() -> None:
        env.step(actions[env.env_steps // worlds % 16])

    rates = [best(work, worlds, options) for work in (on_device, with_transfers, whole)]
    env.close()
    return rates, first


def best(work: Callable[[], None], worlds: int, options: argparse.Namespace) -> float:
    """Return the steps per second of a piece of work that steps every world once: the best of the blocks."""
    rates = []
    for _ in range(options.blocks):
        wp.synchronize_device(options.device)
        began, done = time.perf_counter(), 0
        while time.perf_counter() - began < options.seconds:
            for _ in range(8 if options.device != "cpu" else 1):
                work()
            wp.synchronize_device(options.device)
            done += 8 if options.device != "cpu" else 1
        rates.append(done * worlds / (time.perf_counter() - began))
    return max(rates)


if __name__ == "__main__":
    main()
