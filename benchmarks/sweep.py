"""A sweep of 12 Cartpole trainings that is killed twice with -9, its command and a trial each time.

    python benchmarks/sweep.py

It ends with 12 trials, none lost or doubled, and with the learning rate at which Cartpole learns. Nothing of it runs on
afterwards, however it ends.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from gaitway.platforms.local import processes

SRC = Path(__file__).parents[1] / "src"
RATE = "agent.algorithm.learning_rate"
SWEEP = (
    *("sweep", "train", "--task", "Isaac-Cartpole-v0", "--name", "cartpole", "-m", "25", "--save-interval", "5"),
    *(
        "--vary",
        f"{RATE}=1e-6,1e-3",
        "--vary",
        "num_envs=128,192,256",
        "--vary",
        "agent.algorithm.num_learning_epochs=4,5",
    ),
    *("--set", "agent.algorithm.schedule=fixed"),  # the adaptive schedule would mend a learning rate by itself
    "--json",
)


PATIENCE_S = 900.0
"""Longest time until a trial has a checkpoint."""


def main() -> int:
    """Sweep, kill, sweep, kill, sweep; print what came out."""
    home = Path(tempfile.mkdtemp(prefix="gaitway-sweep-"))
    try:
        return sweep(home)
    finally:
        end_runs(home)


def sweep(home: Path) -> int:
    """Run the sweep in a home; return 0 where it ended as it must."""
    began = time.monotonic()
    environ = {**os.environ, "GAITWAY_HOME": str(home), "PYTHONPATH": f"{SRC}{os.pathsep}{SRC / 'training'}"}
    command = [sys.executable, "-m", "gaitway", *SWEEP]
    for trial in (2, 6):
        process = subprocess.Popen(command, env=environ, stdout=subprocess.DEVNULL)
        run = home / "runs" / f"cartpole-{trial:03d}"
        try:
            wait_for(run / "outputs" / "checkpoints" / "model_5.pt", process)
        finally:
            process.kill()
            process.wait()
        os.killpg(int((run / "pid").read_text()), signal.SIGKILL)
        print(f"killed the command and {run.name} after {time.monotonic() - began:.0f} s", flush=True)
    done = subprocess.run(command, env=environ, stdout=subprocess.PIPE, check=True)
    outcome = json.loads(done.stdout)
    trials = outcome["leaderboard"]
    for trial in trials:
        print(f"{trial['trial']:>3} {trial['status']} {trial['value']:8.3f} {trial['values']} {trial['runs']}")
    print(f"importances {outcome['importances']}; {outcome['next']}")
    print(f"runs {sorted(path.name for path in (home / 'runs').iterdir())}")
    print(f"took {time.monotonic() - began:.0f} s")
    whole = sorted(trial["trial"] for trial in trials) == list(range(1, 13))
    completed = all(trial["status"] == "completed" for trial in trials)
    return 0 if whole and completed and outcome["winner"]["values"][RATE] == "1e-3" else 1


def wait_for(path: Path, process: subprocess.Popen[bytes]) -> None:
    """Wait until a file is there.

    Raises:
        RuntimeError: The process that is to lead to it has ended, or it takes too long.
    """
    deadline = time.monotonic() + PATIENCE_S
    while not path.exists():
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"{path} did not come; the command's exit code is {process.returncode}")
        time.sleep(0.2)


def end_runs(home: Path) -> None:
    """End what still runs below a home: a run outlives the command that started it."""
    for folder in (home / "runs").glob("*"):
        left = processes.recorded(folder)
        if left:
            processes.end_group(left, 0.0)


if __name__ == "__main__":
    sys.exit(main())
