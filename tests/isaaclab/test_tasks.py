"""Tasks of one's own in the real Isaac Lab, and what is refused before a simulator starts."""

import json
import subprocess
from pathlib import Path

from .conftest import PATIENCE_S, PYTHON, Lab

HERE = Path(__file__).parent


def test_a_task_of_the_users_own_is_trained_with_its_own_settings(lab: Lab) -> None:
    words = ["train", "--task", "Own-Gentle-Cartpole-v0", "--simulator", "isaaclab", "--num-envs", "16"]
    words += ["--with", str(HERE / "samples" / "own_tasks"), "--import", "own_tasks", "--max-iterations", "2"]
    ran = lab.gaitway(*words, "--set", "agent.algorithm.num_learning_epochs=1", "--set", "env.episode_length_s=2.5")
    assert ran.code == 0, ran.talk
    params = Path(ran.document["run_dir"]) / "outputs" / "params"
    contract = json.loads((params / "contract.json").read_text())
    assert contract["actions"][0]["scale"] == [10.0]
    assert contract["terminations"]["time_out_s"] == 2.5
    assert "num_learning_epochs: 1\n" in (params / "agent.yaml").read_text()
    assert "episode_length_s: 2.5\n" in (params / "env.yaml").read_text()
    assert ran.document["registered_model"]["name"] == "own-gentle-cartpole-v0"


def test_a_task_of_the_direct_workflow_is_trained_under_the_name_it_has_in_2(lab: Lab) -> None:
    words = ["train", "--task", "Isaac-Cartpole-Direct-v0", "--simulator", "isaaclab", "--backend", "skrl"]
    ran = lab.gaitway(*words, "--num-envs", "16", "--max-iterations", "2", "--skip-register-checkpoint")
    assert ran.code == 0, ran.talk
    assert (ran.document["iterations"], ran.document["simulator"]) == (2, "isaaclab")


def test_what_cannot_be_right_is_refused_in_words(lab: Lab) -> None:
    asked = [
        {"task": "Isaac-Cartpool-v0"},
        {"task": "Own-Gentle-Cartpole-v0", "imports": ["statistics"]},
        {"overrides": ["agent.algorithm.learning_rat=1e-3"]},
        {"overrides": ["env.sim.physics=warp_drive"]},
        {"overrides": ["env.episode_length_s=long"]},
        {"task": "Isaac-Cartpole-Camera", "backend": "skrl"},
    ]
    done = subprocess.run(
        [PYTHON, HERE / "refusals.py", json.dumps(asked)],
        env=lab.environ,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    errors = json.loads(done.stdout.splitlines()[-1])
    assert [error["exit_code"] for error in errors] == [2, 2, 2, 2, 2, 3]
    task, own, key, physics, number, backend = errors
    assert "Isaac-Cartpole" in task["hint"]
    assert "statistics" in own["from"]
    assert "algorithm.learning_rate" in key["hint"]
    assert "warp_drive" in physics["message"] + physics["from"]
    assert number["message"] == "'long' is not a number"
    assert backend["allowed"] == "rsl_rl"
