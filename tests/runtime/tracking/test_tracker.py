"""Runs in MLflow, on the local store and on a real server."""

from __future__ import annotations

import logging
import math
import os
from pathlib import Path

import pytest
from fakes.mlflow_server import MlflowServer
from fakes.proxy import Line
from gaitway_runtime.errors import ConfigError, PlatformError, UsageError
from gaitway_runtime.job import RunContext, TrainJob
from gaitway_runtime.tracking.client import open_client
from gaitway_runtime.tracking.journal import JOURNAL
from gaitway_runtime.tracking.mlflow_tracker import MlflowTracker, announce, open_tracker
from gaitway_runtime.tracking.sender import Patience
from gaitway_runtime.tracking.store import ensure_store

QUICK = Patience(flush=0.05, first_delay=0.01, longest_delay=0.1, at_end=10)
AWAY = Patience(flush=0.05, first_delay=0.01, longest_delay=0.1, at_end=0.2, when_stopped=0.2)
JOB = TrainJob(task="Isaac-Cartpole-v0")
EXPERIMENT = "isaaclab-rsl-rl-Isaac-Cartpole-v0"


@pytest.fixture(params=["local store", "server"])
def uri(request: pytest.FixtureRequest, home: Path) -> str:
    if request.param == "server":
        server: MlflowServer = request.getfixturevalue("mlflow_server")
        return server.url
    return ensure_store(home)


@pytest.fixture
def outputs(home: Path) -> Path:
    return home / "runs" / "cartpole-1" / "outputs"


def opened(uri: str | None, outputs: Path, *, run_id: str | None = None, patience: Patience = QUICK) -> MlflowTracker:
    context = RunContext(run="cartpole-1", tracking_uri=uri, tags={"gaitway.commit": "abc"})
    return open_tracker(JOB, context, run_id=run_id, output_dir=outputs, patience=patience)


def checkpoint(outputs: Path, iteration: int) -> Path:
    path = outputs / "checkpoints" / f"model_{iteration}.pt"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(os.urandom(1000))
    return path


def test_a_run_ends_up_whole_in_mlflow(uri: str, outputs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tracker = opened(uri, outputs)
    announce(tracker)
    for step in range(300):
        names = {"reward": step * 0.5, "loss/value (mean)": 1.0, "/odd//../name/": math.nan if step else 1.0}
        tracker.log_metrics(names, step)
    tracker.log_params({"seed": "42", "long": "x" * 7000})
    tracker.set_tags({"gaitway.note": "y" * 9000})
    published = tracker.publish_checkpoint(checkpoint(outputs, 299), 299)
    (outputs / "plots").mkdir()
    (outputs / "plots" / "reward.png").write_bytes(b"png")
    tracker.publish(outputs / "plots", "plots")
    tracker.close("FINISHED")

    run = open_client(uri).get_run(tracker.run_id)
    assert run.info.status == "FINISHED"
    assert run.data.metrics["reward"] == 149.5
    history = open_client(uri).get_metric_history(tracker.run_id, "reward")
    assert sorted(point.step for point in history) == list(range(300))
    assert set(run.data.metrics) == {"reward", "loss/value _mean_", "odd/name"}
    assert run.data.params["seed"] == "42"
    assert run.data.params["long"].endswith("...")
    assert run.data.tags["gaitway.commit"] == "abc"
    assert run.data.tags["task"] == "Isaac-Cartpole-v0"
    assert published == f"runs:/{tracker.run_id}/checkpoints/model_299.pt"
    assert [item.path for item in open_client(uri).list_artifacts(tracker.run_id, "plots")] == ["plots/reward.png"]
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"INFO | MLflow tracking configured: experiment={EXPERIMENT}"
    assert lines[1].startswith("View run at: http")
    assert lines[1].endswith(f"/runs/{tracker.run_id}")
    assert not (outputs / JOURNAL).exists()


@pytest.mark.parametrize("status", ["FAILED", "KILLED"])
def test_a_run_says_how_it_ended(home: Path, outputs: Path, status: str) -> None:
    tracker = opened(ensure_store(home), outputs)
    tracker.close(status)
    tracker.close("FINISHED")
    assert open_client(ensure_store(home)).get_run(tracker.run_id).info.status == status


def test_a_resumed_job_continues_its_run(uri: str, outputs: Path) -> None:
    first = opened(uri, outputs)
    first.log_metrics({"reward": 1.0}, 1)
    first.close("KILLED")
    second = opened(uri, outputs.parent.parent / "cartpole-2" / "outputs", run_id=first.run_id)
    assert second.run_id == first.run_id
    assert open_client(uri).get_run(first.run_id).info.status == "RUNNING"
    second.log_metrics({"reward": 2.0}, 2)
    second.close("FINISHED")
    assert len(open_client(uri).get_metric_history(first.run_id, "reward")) == 2


def test_a_run_to_resume_that_is_not_here_becomes_a_new_one(uri: str, outputs: Path) -> None:
    tracker = opened(uri, outputs, run_id="0123456789abcdef0123456789abcdef")
    tracker.close("FINISHED")
    tags = open_client(uri).get_run(tracker.run_id).data.tags
    assert tags["gaitway.resumed_from"] == "0123456789abcdef0123456789abcdef"


def test_the_platforms_own_run_is_continued_and_not_ended(
    uri: str, outputs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = open_client(uri)
    name = f"azureml-{uri[:4]}"
    theirs = client.create_run(client.create_experiment(name, artifact_location=str(outputs / "artifacts")))
    monkeypatch.setenv("MLFLOW_RUN_ID", theirs.info.run_id)
    tracker = opened(uri, outputs, run_id="another")
    tracker.close("FINISHED")
    assert (tracker.run_id, tracker.experiment) == (theirs.info.run_id, name)
    run = client.get_run(theirs.info.run_id)
    assert run.info.status == "RUNNING"
    assert run.data.tags["gaitway.status"] == "FINISHED"
    assert run.data.tags["gaitway.resumed_from"] == "another"


def test_a_folder_with_one_checkpoint_becomes_a_model_version(uri: str, outputs: Path) -> None:
    tracker = opened(uri, outputs)
    tracker.publish_checkpoint(checkpoint(outputs, 60), 60, final=True)
    version = tracker.register_model("isaac-cartpole-v0", "checkpoints/final", {"task": JOB.task, "verdict": "passed"})
    tracker.close("FINISHED")
    found = open_client(uri).get_model_version(version.name, version.version)
    assert found.run_id == tracker.run_id
    assert found.tags["verdict"] == "passed"
    assert found.source.endswith("/checkpoints/final")


def test_what_would_download_as_nothing_is_not_registered(uri: str, outputs: Path) -> None:
    tracker = opened(uri, outputs)
    tracker.publish_checkpoint(checkpoint(outputs, 60), 60, final=True)
    tracker.publish_checkpoint(checkpoint(outputs, 50), 50)
    tracker.publish_checkpoint(checkpoint(outputs, 40), 40)
    for path in ("checkpoints/final/model_60.pt", "nowhere", "checkpoints"):
        with pytest.raises(PlatformError, match="exactly one checkpoint"):
            tracker.register_model("m", path, {})
    for name in ("", "a/b", "-a", "a b", "x" * 300, "ä"):
        with pytest.raises(UsageError):
            tracker.register_model(name, "checkpoints/final", {})
    tracker.close("FINISHED")


def test_a_server_that_is_away_holds_up_nothing_and_gets_everything_later(
    line: Line, outputs: Path, caplog: pytest.LogCaptureFixture
) -> None:
    line.down()
    tracker = opened(line.url, outputs, patience=AWAY)
    assert tracker.run_id == ""
    assert tracker.url == ""
    tracker.log_metrics({"reward": 1.0}, 1)
    path = checkpoint(outputs, 10)
    assert tracker.publish_checkpoint(path, 10) == path.as_uri(), "the one address that works now"
    with pytest.raises(PlatformError, match="away"):
        tracker.register_model("m", "checkpoints/final", {})
    tracker.close("FINISHED")
    assert (outputs / JOURNAL).exists()
    assert caplog.text.count("is away") >= 1

    line.up()
    caplog.set_level(logging.ERROR)
    opened(line.url, outputs.parent.parent / "cartpole-2" / "outputs").close("FINISHED")
    assert not (outputs / JOURNAL).exists()
    client = open_client(line.url)
    experiment = client.get_experiment_by_name(EXPERIMENT)
    newest, sent_later = client.search_runs([experiment.experiment_id], max_results=2)
    late = sent_later if sent_later.data.metrics else newest
    assert late.info.status == "FINISHED"
    assert late.data.metrics == {"reward": 1.0}
    assert client.list_artifacts(late.info.run_id, "checkpoints")[0].path == "checkpoints/model_10.pt"


def test_a_server_that_goes_away_during_the_job_gets_the_rest_when_it_is_back(line: Line, outputs: Path) -> None:
    tracker = opened(line.url, outputs)
    tracker.log_metrics({"reward": 1.0}, 1)
    line.down()
    for step in range(2, 100):
        tracker.log_metrics({"reward": float(step)}, step)
    uri = tracker.publish_checkpoint(checkpoint(outputs, 99), 99)
    line.up()
    tracker.close("FINISHED")
    client = open_client(line.url)
    assert len(client.get_metric_history(tracker.run_id, "reward")) == 99
    assert uri == f"runs:/{tracker.run_id}/checkpoints/model_99.pt"
    assert not (outputs / JOURNAL).exists()


def test_what_a_killed_process_left_is_sent_by_the_next_one(home: Path, outputs: Path) -> None:
    uri = ensure_store(home)
    tracker = opened(uri, outputs, patience=Patience(flush=3600))
    tracker.log_metrics({"reward": 7.0}, 1)
    journal = (outputs / JOURNAL).read_bytes()
    tracker._sender.stop()
    assert (outputs / JOURNAL).read_bytes() == journal, "as after kill -9: nothing was sent"

    opened(uri, outputs.parent.parent / "cartpole-2" / "outputs").close("FINISHED")
    assert open_client(uri).get_run(tracker.run_id).data.metrics == {"reward": 7.0}
    assert not (outputs / JOURNAL).exists()


def test_two_jobs_do_not_share_an_output_folder(home: Path, outputs: Path) -> None:
    tracker = opened(ensure_store(home), outputs)
    with pytest.raises(ConfigError, match="another job"):
        opened(ensure_store(home), outputs)
    tracker.close("FINISHED")
    client = open_client(ensure_store(home))
    assert len(client.search_runs([client.get_experiment_by_name(EXPERIMENT).experiment_id])) == 1


def test_a_store_that_refuses_stops_the_job_before_it_starts(home: Path, outputs: Path) -> None:
    home.mkdir()
    (home / "mlflow.db").write_bytes(b"rubbish")
    with pytest.raises(ConfigError, match="damaged"):
        opened(None, outputs)


def test_a_deleted_experiment_is_said_with_the_way_back(home: Path, outputs: Path) -> None:
    uri = ensure_store(home)
    opened(uri, outputs).close("FINISHED")
    client = open_client(uri)
    client.delete_experiment(client.get_experiment_by_name(EXPERIMENT).experiment_id)
    with pytest.raises(ConfigError, match="was deleted") as caught:
        opened(uri, outputs)
    assert not (outputs / JOURNAL).exists()
    assert "restore" in str(caught.value.hint)


def test_the_users_server_wins_over_the_local_store(
    home: Path, outputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mine' / 'runs.db'}")
    opened(None, outputs).close("FINISHED")
    assert (tmp_path / "mine" / "runs.db").exists()
    assert not (home / "mlflow.db").exists()


def test_a_password_in_the_servers_address_is_not_written_down(
    mlflow_server: MlflowServer, outputs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", mlflow_server.url.replace("://", "://user:hunter22hunter@"))
    tracker = opened(None, outputs, patience=Patience(flush=3600, at_end=10))
    tracker.log_metrics({"reward": 7.0}, 1)
    assert "hunter22" not in (outputs / JOURNAL).read_text()
    assert "hunter22" not in tracker.url
    tracker.close("FINISHED")
    tags = open_client(mlflow_server.url).get_run(tracker.run_id).data.tags
    assert "hunter22" not in str(tags)
