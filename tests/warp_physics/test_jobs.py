"""Jobs on MuJoCo-Warp, as a user types them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 900
"""Longest that a command may take [s]; only what hangs takes as long."""


def gaitway(home: Path, *arguments: str) -> Any:
    """Run ``gaitway`` with ``--simulator mujoco-warp`` and return its answer."""
    environ = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join((str(ROOT / "src"), str(ROOT / "src/training"))),
        "GAITWAY_HOME": str(home),
        "NO_COLOR": "1",
    }
    words = [sys.executable, "-m", "gaitway", *arguments, "--simulator", "mujoco-warp", "--json"]
    done = subprocess.run(words, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)


def test_an_interrupted_training_continues_where_it_was(home: Path) -> None:
    train = ("train", "--task", "Isaac-Cartpole-v0", "--num-envs", "64", "--skip-register-checkpoint")
    first = gaitway(home, *train, "--name", "first", "--max-iterations", "3")
    assert first["iterations"] == 3
    again = gaitway(
        *(home, *train, "--name", "again", "--max-iterations", "5", "--checkpoint-mode", "resume"),
        *("--checkpoint-uri", "first@latest"),
    )
    assert again["iterations"] == 5 and again["mlflow_run_id"] == first["mlflow_run_id"]
    log = (home / "runs/again/log.txt").read_text(encoding="utf-8")
    assert "the training continues bit for bit" in log
