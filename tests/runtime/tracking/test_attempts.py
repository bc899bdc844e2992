"""A job that a platform starts again continues where its earlier attempt was cut off."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from gaitway_runtime.spec.errors import PlatformError
from gaitway_runtime.spec.job import TrainJob
from gaitway_runtime.spec.run_context import RunContext
from gaitway_runtime.stores.artifacts import Entry
from gaitway_runtime.stores.mlflow_client import open_client
from gaitway_runtime.stores.streams import StreamLimits
from gaitway_runtime.stores.tracking_server import TrackingServer, ensure_store
from gaitway_runtime.tracking import attempts
from gaitway_runtime.tracking.mlflow_tracker import open_tracker
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import PERMISSION_DENIED

CONTEXT = RunContext(tracking_uri="http://server", tags={attempts.ATTEMPT_TAG: "plat-7"})
JOB = TrainJob(checkpoint_uri="runs:/other/checkpoints", checkpoint_mode="warm-start", checkpoint_sha256="ab")


class Client:
    """As much of MLflow's client as is asked."""

    def __init__(self, runs: dict[str, list[str]]) -> None:
        self.runs = runs
        self.condition = ""

    def get_experiment_by_name(self, name: str) -> Any:
        return SimpleNamespace(experiment_id="1") if self.runs else None

    def search_experiments(self, max_results: int) -> list[Any]:
        return []

    def search_runs(self, ids: list[str], filter_string: str, *_: Any) -> list[Any]:
        self.condition = filter_string
        return [SimpleNamespace(info=SimpleNamespace(run_id=run_id, artifact_uri=run_id)) for run_id in self.runs]


class Folder:
    """As much of an artifact folder as is asked; its root is the run's id."""

    def __init__(self, root: str, base: str, server: Any, shown: str) -> None:
        self.root, self.runs = root, server.client.runs

    def entries(self, path: str) -> list[Entry]:
        return [Entry(f"{path}/{name}", False) for name in self.runs.get(self.root, [])]


class Server(TrackingServer):
    client: Any = None


def ask(monkeypatch: pytest.MonkeyPatch, runs: dict[str, list[str]], context: RunContext = CONTEXT) -> TrainJob:
    client = Client(runs)
    monkeypatch.setattr(Server, "client", client)
    monkeypatch.setattr(attempts, "TrackingServer", Server)
    monkeypatch.setattr(attempts, "ArtifactFolder", Folder)
    job = attempts.resumed(JOB, context)
    assert "plat-7" in client.condition or job == JOB
    return job


def test_the_newest_attempt_with_a_checkpoint_is_resumed(monkeypatch: pytest.MonkeyPatch) -> None:
    job = ask(monkeypatch, {"second": [], "first": ["model_3.pt"]})
    assert job == TrainJob(checkpoint_uri="runs:/first/checkpoints", checkpoint_mode="resume")


@pytest.mark.parametrize("runs", [{}, {"first": []}])
def test_without_an_earlier_attempt_the_job_is_as_it_was(
    monkeypatch: pytest.MonkeyPatch, runs: dict[str, list[str]]
) -> None:
    assert ask(monkeypatch, runs) == JOB
    assert ask(monkeypatch, {"first": ["model_3.pt"]}, RunContext()) == JOB


def test_a_server_that_is_away_stops_no_training(monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: Any, **__: Any) -> Any:
        raise PlatformError("the server is away")

    monkeypatch.setattr(Server, "ask", away)
    monkeypatch.setattr(attempts, "TrackingServer", Server)
    assert attempts.resumed(JOB, CONTEXT) == JOB


def test_an_attempt_is_found_after_its_experiment_was_renamed(tmp_path: Path) -> None:
    """Also where somebody else's run has made a new experiment of that name since."""
    uri = ensure_store(tmp_path / "server")
    context = RunContext(tracking_uri=uri, tags={attempts.ATTEMPT_TAG: "plat-7"})
    first = open_tracker(JOB, context, output_dir=tmp_path / "first" / "outputs")
    checkpoint = tmp_path / "model_3.pt"
    checkpoint.write_bytes(b"weights")
    first.publish_checkpoint(checkpoint, 3)
    first.close("FAILED")
    client = open_client(uri)
    experiment = client.get_experiment(client.get_run(first.run_id).info.experiment_id)
    client.rename_experiment(experiment.experiment_id, "walking, second try")
    wanted = TrainJob(checkpoint_uri=f"runs:/{first.run_id}/checkpoints", checkpoint_mode="resume")
    assert attempts.resumed(JOB, context) == wanted
    client.create_run(client.create_experiment(experiment.name), tags={attempts.ATTEMPT_TAG: "plat-8"})
    assert attempts.resumed(JOB, context) == wanted


class Forbidding(Client):
    """A server that shows one experiment and no other."""

    def search_experiments(self, max_results: int) -> list[Any]:
        raise MlflowException("you may not list experiments", error_code=PERMISSION_DENIED)


def test_other_experiments_that_one_may_not_see_hold_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Server, "client", Forbidding({}))
    server = Server("http://server", StreamLimits(attempts=1, first_wait=0.0, longest_wait=0.0))
    assert attempts.runs_wherever(server, "walking", "tags.x = '1'", most=5) == []
