"""A run whose processes are killed again and again: each step stands in MLflow once, in one run that ends."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from fakes.mlflow_server import MlflowServer
from gaitway_runtime.stores.mlflow_client import open_client
from gaitway_runtime.stores.tracking_server import ensure_store
from gaitway_runtime.tracking.journal import journals_below

TRAINING = """
import sys
from pathlib import Path
from gaitway_runtime.spec.job import TrainJob
from gaitway_runtime.spec.run_context import RunContext
from gaitway_runtime.tracking.delivery import Patience
from gaitway_runtime.tracking.mlflow_tracker import open_tracker
from gaitway_runtime.tracking.store_process import StoreProcess

uri, outputs, run_id, first, last = sys.argv[1], Path(sys.argv[2]), sys.argv[3], int(sys.argv[4]), int(sys.argv[5])
patience = Patience(start=30.0, flush=0.005, first_delay=0.01, longest_delay=0.1, at_end=60.0)
context = RunContext(run=outputs.parent.name, tracking_uri=uri)
job = TrainJob(task="T-killed")
process = StoreProcess(uri) if sys.argv[6] == "process" else None
tracker = open_tracker(job, context, run_id=run_id or None, output_dir=outputs, patience=patience, process=process)
print("run", tracker.run_id, flush=True)
for step in range(first, last):
    tracker.log_metrics({"reward": float(step), "length": 1.0}, step)
    if step % 10 == 9:
        path = outputs / "checkpoints" / f"model_{step}.pt"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"weights of %d" % step)
        tracker.publish_checkpoint(path, step)
    print("step", step, flush=True)
tracker.close("FINISHED")
"""
LAST = 120
KILLS = int(os.environ.get("CHAOS_KILLS") or 4)
"""Kills of each run; ``make chaos`` asks for more."""
LONG = pytest.mark.skipif(not os.environ.get("CHAOS_KILLS"), reason="make chaos: each attempt imports MLflow twice")


def train(uri: str, outputs: Path, run_id: str, first: int, kill_after: int | None, where: str) -> tuple[str, int]:
    """Train until the end, or until a process says a step; return the run's id and the last step that it said."""
    command = [sys.executable, "-c", TRAINING, uri, str(outputs), run_id, str(first), str(LAST), where]
    said = first - 1
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"}
    ) as job:
        assert job.stdout
        for line in job.stdout:
            what, _, value = line.strip().partition(" ")
            if what == "run":
                run_id = value
            elif what == "step" and value and line.endswith("\n"):
                said = int(value)
            if said == kill_after:
                job.send_signal(signal.SIGKILL)
    return run_id, said


@pytest.mark.slow
@pytest.mark.parametrize("where", ["store", "server", pytest.param("process", marks=LONG)])
def test_each_step_stands_once_in_one_run_that_ends(where: str, home: Path, mlflow_server: MlflowServer) -> None:
    uri = mlflow_server.url if where == "server" else ensure_store(home)
    dice = random.Random(5)
    run_id, first = "", 0
    for attempt, kill_after in enumerate([*sorted(dice.choices(range(5, LAST - 5), k=KILLS)), None]):
        outputs = home / "runs" / f"walker-{attempt}" / "outputs"
        outputs.mkdir(parents=True)
        known = run_id
        run_id, said = train(uri, outputs, run_id, first, kill_after, where)
        assert known in ("", run_id), "every attempt continues the same run"
        first = said // 10 * 10  # as from the last checkpoint

    client = open_client(uri)
    run = client.get_run(run_id)
    for metric in ("reward", "length"):
        assert sorted(point.step for point in client.get_metric_history(run_id, metric)) == list(range(LAST))
    assert run.info.status == "FINISHED"
    published = {item.path for item in client.list_artifacts(run_id, "checkpoints")}
    assert published == {f"checkpoints/model_{step}.pt" for step in range(9, LAST, 10)}
    assert journals_below(home / "runs") == []
    (experiment,) = [found for found in client.search_experiments() if found.experiment_id == run.info.experiment_id]
    assert len(client.search_runs([experiment.experiment_id])) == 1
