"""A store kept by a process of its own: a run is as whole as with a store in the job, also where that process dies."""

from __future__ import annotations

import contextlib
import pickle
from pathlib import Path

import gaitway_runtime.fetch
import pytest
from gaitway_runtime.jobs.train import RunMarks
from gaitway_runtime.spec.errors import ConfigError, GaitwayError, UsageError
from gaitway_runtime.spec.job import TrainJob
from gaitway_runtime.spec.run_context import RunContext
from gaitway_runtime.stores.mlflow_client import Failure, StoreFailure, open_client
from gaitway_runtime.stores.tracking_server import ensure_store
from gaitway_runtime.tracking import store_process
from gaitway_runtime.tracking.attempts import Superseded
from gaitway_runtime.tracking.delivery import Patience
from gaitway_runtime.tracking.journal import JOURNAL
from gaitway_runtime.tracking.mlflow_tracker import open_tracker
from gaitway_runtime.tracking.store_process import StoreProcess, _portable, begin_early, fetch_beside

PATIENT = Patience(start=60.0, flush=0.05, first_delay=0.01, longest_delay=0.1, at_end=30)


def test_a_run_whose_store_process_is_killed_stands_in_mlflow_once(
    home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    uri, outputs = ensure_store(home), home / "runs" / "walker" / "outputs"
    outputs.mkdir(parents=True)
    checkpoint = outputs / "model_9.pt"
    checkpoint.write_bytes(b"weights")
    with contextlib.closing(StoreProcess(uri)) as process:
        context = RunContext(run="walker", tracking_uri=uri)
        job = TrainJob(task="T")
        tracker = open_tracker(job, context, output_dir=outputs, patience=PATIENT, process=process, wait=False)
        for step in range(50):  # it need not be open
            tracker.log_metrics({"reward": float(step)}, step)
        marks = RunMarks(tracker, settled=False)
        run_id, address = {**marks}["run_id"], tracker.url
        assert run_id == tracker.run_id != "", "the first checkpoint has waited"
        assert tracker._connection.sender.drain(60)
        process._process.kill()
        for step in range(50, 100):
            tracker.log_metrics({"reward": float(step)}, step)
        tracker.publish(checkpoint, "model/9")
        version = tracker.register_model("walker", "model/9", {"task": "T"})
        tracker.close("FINISHED")
    with pytest.raises(StoreFailure, match="the job has ended"):
        process.ask("open")
    client = open_client(uri)
    assert address.endswith(run_id) and tracker.run_id == run_id
    steps = sorted(point.step for point in client.get_metric_history(run_id, "reward"))
    assert steps == list(range(100))
    assert client.get_run(run_id).info.status == "FINISHED"
    assert client.get_model_version("walker", version.version).run_id == run_id
    assert not (outputs / JOURNAL).exists()
    assert "this one does it itself" in caplog.text


def test_a_checkpoint_is_fetched_by_the_process_and_by_the_job_once_that_is_killed(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri, checkpoint, into = ensure_store(home), home / "model_9.pt", home / "start"
    checkpoint.write_bytes(b"weights")
    client = open_client(uri)
    run_id = client.create_run("0").info.run_id
    client.log_artifact(run_id, str(checkpoint), "checkpoints")
    address, context = f"runs:/{run_id}/checkpoints", RunContext(tracking_uri=uri)

    def fetched(address: str = address) -> bytes:
        return fetch_beside(process, address, into, expected_sha256=None, context=context).path.read_bytes()

    with contextlib.closing(StoreProcess(uri)) as process:
        with monkeypatch.context() as here:
            here.setattr(gaitway_runtime.fetch, "parse", lambda _: pytest.fail("the job itself asked MLflow"))
            assert fetched() == b"weights"
        with pytest.raises(UsageError, match="no such thing") as met:
            fetched("runs:/unknown/checkpoints")
        assert any("runs:/unknown" in line for line in met.value.lines())
        process._process.kill()
        (into / "model_9.pt").unlink()
        assert fetched() == b"weights"
        assert fetched(str(checkpoint)) == b"weights"


def test_no_process_is_started_where_nothing_is_gained(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_process, "StoreProcess", lambda uri: pytest.fail(f"a process was started for {uri}"))
    monkeypatch.delitem(store_process.sys.modules, "mlflow", raising=False)
    assert begin_early("http://127.0.0.1:5000") is None
    monkeypatch.setitem(store_process.sys.modules, "mlflow", store_process)
    assert begin_early(ensure_store(home)) is None, "this process has MLflow already"


@pytest.mark.parametrize(
    "error",
    [
        ConfigError("the experiment was deleted", hint="restore it"),
        Superseded("4711"),
        StoreFailure(Failure.DENIED, PermissionError(13, "no")),
    ],
)
def test_an_error_of_the_store_arrives_as_it_was(error: GaitwayError | StoreFailure) -> None:
    arrived = pickle.loads(pickle.dumps(_portable(error)))
    assert (type(arrived), str(arrived)) == (type(error), str(error))
    if isinstance(error, GaitwayError):
        assert arrived.lines() == error.lines()
    else:
        assert (arrived.kind, type(arrived.error)) == (error.kind, type(error.error))


def test_an_error_that_cannot_travel_keeps_its_kind_and_text() -> None:
    class Local(Exception):
        pass

    arrived = _portable(StoreFailure(Failure.INVALID, Local("too long")))
    assert isinstance(arrived, StoreFailure) and (arrived.kind, str(arrived)) == (Failure.INVALID, "too long")
