"""Two processes that train together in the real Isaac Lab, each with its own simulation, over gloo on the CPU."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from fakes.processes import free_port
from gaitway_runtime.spec.job import TrainJob
from gaitway_runtime.spec.job_document import to_document
from gaitway_runtime.spec.run_context import RunContext
from mlflow.tracking import MlflowClient

from .conftest import PYTHON, Lab

ITERATIONS = 12
NUM_ENVS = 64


def test_two_processes_make_one_run_and_one_set_of_checkpoints(lab: Lab) -> None:
    words = ["train", "--task", "Isaac-Cartpole-v0", "--simulator", "isaaclab", "--num-gpus", "2"]
    words += ["--num-envs", str(NUM_ENVS), "--max-iterations", str(ITERATIONS), "--save-interval", "10"]
    ran = lab.gaitway(*words, "--name", "together", "--skip-register-checkpoint")
    # That the weights of both are equal is checked at the end of every such training.
    assert ran.code == 0, ran.talk
    assert ran.document["steps"] == ITERATIONS * 16 * NUM_ENVS * 2
    outputs = lab.run_dir("together") / "outputs"
    found = sorted(str(path.relative_to(outputs)) for path in outputs.rglob("*.pt"))
    assert found == ["checkpoints/model_0.pt", "checkpoints/model_10.pt", "checkpoints/model_11.pt"]
    client = MlflowClient(f"sqlite:///{lab.home / 'mlflow.db'}")
    experiments = [found.experiment_id for found in client.search_experiments()]
    (run,) = client.search_runs(experiments, "tags.`gaitway.run` = 'together'")
    assert (run.info.run_id, run.data.params["processes"]) == (ran.document["mlflow_run_id"], "2")
    assert len(client.get_metric_history(run.info.run_id, "Loss/value")) == ITERATIONS
    other = json.loads((outputs / "ranks" / "1" / "result.json").read_text())
    assert other["status"] == "succeeded"


def test_torchrun_starts_them_as_well(lab: Lab, tmp_path: Path) -> None:
    job = TrainJob(
        task="Isaac-Cartpole-v0",
        simulator="isaaclab",
        num_envs=NUM_ENVS,
        max_iterations=3,
        save_interval=2,
        skip_register_checkpoint=True,
    )
    path = tmp_path / "job.json"
    path.write_text(json.dumps(to_document(job, RunContext(run="by-torchrun"))))
    words = [str(PYTHON), "-m", "torch.distributed.run", "--nproc-per-node", "2"]
    words += ["--master-addr", "127.0.0.1", "--master-port", str(free_port()), "-m", "gaitway_runtime"]
    ran = subprocess.run([*words, "--job", str(path)], cwd=tmp_path, env=lab.environ, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    result = json.loads((tmp_path / "outputs" / "result.json").read_text())
    assert (result["status"], result["iterations"], result["steps"]) == ("succeeded", 3, 3 * 16 * NUM_ENVS * 2)
    found = sorted(str(name.relative_to(tmp_path / "outputs")) for name in tmp_path.rglob("*.pt"))
    assert found == ["checkpoints/model_0.pt", "checkpoints/model_2.pt"]
    assert ran.stdout.count("MLflow tracking configured") == 1
