"""A training that takes milliseconds: the nearer the learning rate is to 0.001, the better it gets.

``--set hold=K`` makes it wait after iteration K until a file ``go`` lies in the home; ``hold_below=RATE`` only where
the learning rate is lower.
"""

import json
import math
import signal
import time
from pathlib import Path

from gaitway_runtime import WEIGHTS

ITERATION_S = 0.002
LONGEST_HOLD_S = 120.0
"""Longest wait for ``go`` [s]: a test that was killed must not leave a process for good."""


def learn(job: dict, folder: Path, outputs: Path, asked: dict) -> tuple[int, float, bool]:
    """Train; return the iterations done, the reward, and whether it was stopped."""
    stop = []
    signal.signal(signal.SIGTERM, lambda *_: stop.append(True))
    rate, total = float(asked["agent.algorithm.learning_rate"]), job["max_iterations"]
    start, go = job["checkpoint_uri"], folder.parent.parent / "go"
    hold = int(asked.get("hold", -1)) if rate < float(asked.get("hold_below", 1)) else -1
    first = int(Path(start).stem.split("_")[1]) + 1 if start else 0
    deadline = time.monotonic() + LONGEST_HOLD_S
    checkpoints = outputs / "checkpoints"
    checkpoints.mkdir(exist_ok=True)
    reward = 0.0
    for iteration in range(first, total):
        reward = (4 - abs(math.log10(rate / 1e-3))) * (iteration + 1) / total + 0.001 * (job["seed"] % 10)
        record = {"time": 0, "phase": "train", "iteration": iteration + 1, "total": total, "reward": reward}
        with (outputs / "progress.jsonl").open("a") as file:
            file.write(json.dumps(record) + "\n")
        (checkpoints / ".partial").write_bytes(WEIGHTS)
        (checkpoints / ".partial").rename(checkpoints / f"model_{iteration}.pt")
        while iteration == hold and not stop and not go.exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        if stop:
            return iteration + 1, reward, True
        time.sleep(ITERATION_S)
    return total, reward, False
