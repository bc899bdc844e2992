"""The whole way, with nothing stood in for: payload, process, simulator, learner, MLflow, and back."""

import json
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

import gaitway as interface

pytestmark = pytest.mark.slow

TRAINING = Path(__file__).parents[2] / "src" / "training"
SMALL = {"task": "Isaac-Cartpole-v0", "training_path": TRAINING, "num_envs": 64, "seed": 1}


def test_a_training_that_is_cancelled_saves_and_the_next_command_goes_on(gaitway: Callable, home: Path) -> None:
    run = interface.train(max_iterations=100_000, **SMALL)
    next(line for line in run.logs(follow=True) if line.startswith("train ") and not line.startswith("train 1/"))
    run.cancel()
    cancelled = run.document()
    assert cancelled["status"] == "cancelled"
    assert cancelled["exit_code"] == 130
    saved = cancelled["final_checkpoint"]
    assert Path(saved["path"]).is_file()
    assert run.checkpoints()[-1].uri == saved["uri"]
    assert (run.run_dir / "payload" / "gaitway_runtime" / "spec" / "job.py").read_bytes() == (
        TRAINING / "gaitway_runtime" / "spec" / "job.py"
    ).read_bytes()

    words = shlex.split(cancelled["next"])
    assert words[0] == "gaitway"
    total = saved["iteration"] + 3
    words[words.index("--max-iterations") + 1] = str(total)
    resumed = gaitway(*words[1:], "--json")
    assert resumed.code == 0, resumed.err
    document = resumed.json
    assert document["status"] == "succeeded"
    assert document["mlflow_run_id"] == cancelled["mlflow_run_id"]
    assert document["iterations"] == total
    assert document["final_checkpoint"]["iteration"] == total - 1
    assert f"MLflow tracking configured: experiment={document['experiment']}" in resumed.err
    assert (home / "mlflow.db").is_file()
    settings = json.loads((Path(document["run_dir"]) / "settings.json").read_text())
    assert settings["checkpoint_mode"]["origin"] == "cli --checkpoint-mode"
