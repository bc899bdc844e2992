"""A tracking server that fails in the middle of a run: nothing is lost, nothing doubled, nothing given up."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fakes import faulty_server
from fakes.faulty_server import FAULTS, FaultyServer
from fakes.mlflow_server import MlflowServer
from gaitway_runtime.spec.job import TrainJob
from gaitway_runtime.spec.run_context import RunContext
from gaitway_runtime.stores.mlflow_client import open_client
from gaitway_runtime.tracking.delivery import REJECTED, Patience
from gaitway_runtime.tracking.journal import JOURNAL
from gaitway_runtime.tracking.mlflow_tracker import open_tracker

PATIENCE = Patience(start=120.0, flush=0.02, first_delay=0.01, longest_delay=0.05, at_end=120.0)


@pytest.fixture
def faulty(mlflow_server: MlflowServer) -> Iterator[FaultyServer]:
    with faulty_server.before(mlflow_server.url) as server:
        yield server


@pytest.mark.parametrize("name", FAULTS)
def test_nothing_is_lost_and_nothing_doubled(name: str, faulty: FaultyServer, home: Path) -> None:
    outputs = home / "runs" / "walker-1" / "outputs"
    context = RunContext(run="walker-1", tracking_uri=faulty.url)
    tracker = open_tracker(TrainJob(task="T"), context, output_dir=outputs, patience=PATIENCE)
    assert tracker.run_id
    for step in range(60):
        if step == 20:
            faulty.set_fault(FAULTS[name])
        if step == 40:
            tracker._connection.sender.drain(0.3)  # time enough to meet the fault
            faulty.set_fault(None)
        tracker.log_metrics({"reward": float(step)}, step)
        if step % 10 == 9:
            path = outputs / "checkpoints" / f"model_{step}.pt"
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(b"weights of %d" % step)
            tracker.publish_checkpoint(path, step)
    tracker.close("FINISHED")

    client = open_client(faulty.url)
    steps = sorted(point.step for point in client.get_metric_history(tracker.run_id, "reward"))
    assert steps == list(range(60))
    published = {item.path for item in client.list_artifacts(tracker.run_id, "checkpoints")}
    assert published == {f"checkpoints/model_{step}.pt" for step in range(9, 60, 10)}
    assert client.get_run(tracker.run_id).info.status == "FINISHED"
    assert not (outputs / JOURNAL).exists()
    assert not (outputs / REJECTED).exists(), "only MLflow's own word refuses a record"
