"""Runs in MLflow, on the local store and on a real server."""

from __future__ import annotations

import dataclasses
import logging
import math
import os
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest
from fakes import faulty_server
from fakes.mlflow_server import MlflowServer
from fakes.proxy import Line
from gaitway_runtime.fetch import fetch
from gaitway_runtime.jobs.base import settle
from gaitway_runtime.process.lifecycle import start_time
from gaitway_runtime.spec.errors import ConfigError, PlatformError, UsageError
from gaitway_runtime.spec.job import TrainJob
from gaitway_runtime.spec.run_context import RunContext
from gaitway_runtime.stores.mlflow_client import open_client
from gaitway_runtime.stores.tracking_server import ensure_store, tracking_uri_for
from gaitway_runtime.tracking import mlflow_tracker
from gaitway_runtime.tracking.attempts import ATTEMPT_TAG, OWNER_TAG, RunOwner
from gaitway_runtime.tracking.backlog import send_journal
from gaitway_runtime.tracking.delivery import REJECTED, Patience
from gaitway_runtime.tracking.journal import JOURNAL, Metrics, to_line
from gaitway_runtime.tracking.mlflow_tracker import MlflowTracker, open_tracker
from gaitway_runtime.tracking.run_store import ATTEMPT_ID_TAG, RunStore

LONGEST_S = 120.0
"""Longest wait for what happens at once on a machine that is not busy [s]."""

QUICK = Patience(
    start=LONGEST_S, flush=0.05, first_delay=0.01, longest_delay=0.1, at_end=LONGEST_S, when_stopped=LONGEST_S
)
AWAY = dataclasses.replace(QUICK, at_end=0.2, when_stopped=0.2)
JOB = TrainJob(task="Isaac-Cartpole-v0")
EXPERIMENT = "isaaclab-rsl-rl-Isaac-Cartpole-v0"


@pytest.fixture(params=["local store", "server"])
def uri(request: pytest.FixtureRequest, home: Path) -> str:
    if request.param == "server":
        server: MlflowServer = request.getfixturevalue("mlflow_server")
        return server.url
    return ensure_store(home)


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mlflow_tracker, "BACKLOG_WAIT_S", LONGEST_S)


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


def abandon(tracker: MlflowTracker) -> None:
    """Leave a run as a process does that is killed."""
    tracker._connection.sender.stop()
    tracker._connection.journal.close(delete=False)


def test_a_run_ends_up_whole_in_mlflow(uri: str, outputs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tracker = opened(uri, outputs)
    settle(tracker)
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
    assert run.data.params["long"].endswith("... (cut)")
    assert len(run.data.tags["gaitway.note"]) == 1000, "as much as Azure ML takes"
    assert run.data.tags["gaitway.commit"] == "abc"
    assert run.data.tags["task"] == "Isaac-Cartpole-v0"
    assert published == f"runs:/{tracker.run_id}/checkpoints/model_299.pt"
    assert [item.path for item in open_client(uri).list_artifacts(tracker.run_id, "plots")] == ["plots/reward.png"]
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"INFO | MLflow tracking configured: experiment={EXPERIMENT}"
    assert lines[1].startswith("View run at: http")
    assert lines[1].endswith(f"/runs/{tracker.run_id}")
    assert not (outputs / JOURNAL).exists()


def test_a_job_whose_artifacts_could_never_arrive_does_not_begin(home: Path, outputs: Path) -> None:
    uri = ensure_store(home)
    experiment = open_client(uri).create_experiment(EXPERIMENT, artifact_location="s3://ours/mlflow")
    with pytest.raises(ConfigError, match="a package that is not installed: boto3") as refused:
        opened(uri, outputs, patience=dataclasses.replace(QUICK, start=30))
    assert refused.value.hint == "pip install boto3"
    assert not (outputs / JOURNAL).exists()
    assert open_client(uri).search_runs([experiment]) == []


def test_what_a_run_tells_while_it_is_deleted_waits_until_it_is_restored(
    uri: str, outputs: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tracker = opened(uri, outputs, patience=AWAY)
    tracker.log_metrics({"reward": 0.0}, 0)
    assert tracker._connection.sender.drain(LONGEST_S)
    client = open_client(uri)
    client.delete_run(tracker.run_id)
    for step in range(1, 30):
        tracker.log_metrics({"reward": float(step)}, step)
    tracker.close("FINISHED")
    told = [record.message for record in caplog.records if "current state is deleted" in record.message.lower()]
    assert 1 <= len(told) <= 2, "once as it is met, once at the end"
    journal = outputs / JOURNAL
    assert (send_journal(journal, 0.0).unknown, (outputs / REJECTED).exists()) == (True, False)
    client.restore_run(tracker.run_id)
    assert send_journal(journal, LONGEST_S).done
    steps = [point.step for point in client.get_metric_history(tracker.run_id, "reward")]
    assert sorted(steps) == list(range(30))
    assert client.get_run(tracker.run_id).info.status == "FINISHED"


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
    abandon(tracker)
    assert (outputs / JOURNAL).read_bytes() == journal, "as after kill -9: nothing was sent"

    opened(uri, outputs.parent.parent / "cartpole-2" / "outputs").close("FINISHED")
    run = open_client(uri).get_run(tracker.run_id)
    assert run.data.metrics == {"reward": 7.0}
    assert run.info.status == "KILLED", "a run whose process died is not running"
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
    later = open_tracker(JOB, RunContext(run="cartpole-1", tracking_uri=uri), output_dir=outputs, wait=False)
    later.log_metrics({"reward": 1.0}, 0)
    with pytest.raises(ConfigError, match="was deleted"):
        later.settle()
    later.close("FAILED")
    assert not (outputs / JOURNAL).exists(), "a run that is refused leaves nothing to send"


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
    tracker = opened(None, outputs, patience=Patience(flush=3600, at_end=LONGEST_S))
    tracker.log_metrics({"reward": 7.0}, 1)
    assert "hunter22" not in (outputs / JOURNAL).read_text()
    assert "hunter22" not in tracker.url
    tracker.close("FINISHED")
    tags = open_client(mlflow_server.url).get_run(tracker.run_id).data.tags
    assert "hunter22" not in str(tags)


def steps(uri: str, run_id: str, metric: str = "reward") -> list[int]:
    return sorted(point.step for point in open_client(uri).get_metric_history(run_id, metric))


def test_each_step_arrives_once_although_its_attempt_was_killed(uri: str, outputs: Path) -> None:
    """Killed after step 15 with its last steps unsent, resumed from the checkpoint of step 9 in another folder."""
    first = opened(uri, outputs)
    for step in range(13):
        first.log_metrics({"reward": float(step)}, step)
    assert first._connection.sender.drain(LONGEST_S)
    first._connection.sender.stop()
    for step in range(13, 16):
        first._connection.journal.append(Metrics(values={"reward": float(step)}, step=step, time_ms=step))
    first._connection.journal.close(delete=False)

    second = opened(uri, outputs.parent.parent / "cartpole-2" / "outputs", run_id=first.run_id)
    for step in range(10, 30):
        second.log_metrics({"reward": 100.0 + step}, step)
    second.close("FINISHED")
    assert steps(uri, first.run_id) == list(range(30))
    values = {point.step: point.value for point in open_client(uri).get_metric_history(first.run_id, "reward")}
    assert values[15] == 15.0, "what stands is not overwritten"
    assert values[16] == 116.0
    assert open_client(uri).get_run(first.run_id).info.status == "FINISHED"
    assert not (outputs / JOURNAL).exists()


def test_a_run_that_is_being_trained_is_not_resumed(home: Path, outputs: Path) -> None:
    uri = ensure_store(home)
    first = opened(uri, outputs)
    with pytest.raises(ConfigError, match="is being trained by 'cartpole-1'"):
        opened(uri, outputs.parent.parent / "cartpole-2" / "outputs", run_id=first.run_id)
    first.close("FINISHED")
    opened(uri, outputs.parent.parent / "cartpole-2" / "outputs", run_id=first.run_id).close("FINISHED")


def test_a_run_that_is_being_trained_from_another_folder_is_not_resumed(home: Path, outputs: Path) -> None:
    uri = ensure_store(home)
    first = opened(uri, outputs)
    first.close("KILLED")
    client = open_client(uri)
    client.update_run(first.run_id, status="RUNNING")
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        started = start_time(other.pid)
        theirs = dataclasses.replace(RunOwner.this_process("x", "their-run"), pid=other.pid, started=started)
        client.set_tag(first.run_id, OWNER_TAG, theirs.text())
        elsewhere = outputs.parent.parent.parent / "elsewhere" / "runs" / "a" / "outputs"
        with pytest.raises(ConfigError, match="is being trained by 'their-run'"):
            opened(uri, elsewhere, run_id=first.run_id)
        assert not (elsewhere / JOURNAL).exists()
        other.kill()
    opened(uri, elsewhere, run_id=first.run_id).close("FINISHED")


def test_of_two_that_resume_a_run_at_once_one_is_refused(
    home: Path, outputs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = ensure_store(home)
    first = opened(uri, outputs)
    first.close("KILLED")
    both_have_looked, take_over = threading.Barrier(2), RunStore._take_over

    def take_over_late(store: RunStore, run: object) -> None:
        with suppress(threading.BrokenBarrierError):
            both_have_looked.wait(0.5)
        take_over(store, run)

    monkeypatch.setattr(RunStore, "_take_over", take_over_late)
    waiting = [subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) for _ in range(2)]
    owners = iter(
        [
            dataclasses.replace(
                RunOwner.this_process("", f"twin-{other.pid}"), pid=other.pid, started=start_time(other.pid)
            )
            for other in waiting
        ]
    )
    monkeypatch.setattr(RunOwner, "this_process", lambda attempt, _: dataclasses.replace(next(owners), attempt=attempt))
    elsewhere = [outputs.parents[2] / f"elsewhere-{number}" / "runs" / "a" / "outputs" for number in range(2)]
    with ThreadPoolExecutor(2) as pool:
        asked = [pool.submit(opened, uri, folder, run_id=first.run_id) for folder in elsewhere]
    refused = [future.exception() for future in asked if future.exception()]
    for future in asked:
        if not future.exception():
            future.result().close("FINISHED")
    for other in waiting:
        other.communicate(b"\n")
    assert len(refused) == 1, refused
    assert isinstance(refused[0], ConfigError)
    assert "is being trained by 'twin-" in str(refused[0])


def test_a_run_whose_owner_died_is_taken_over_at_once(home: Path, outputs: Path) -> None:
    uri = ensure_store(home)
    first = opened(uri, outputs)
    first.close("KILLED")
    client = open_client(uri)
    client.update_run(first.run_id, status="RUNNING")
    dead = dataclasses.replace(RunOwner.this_process("an-attempt", "cartpole-1"), started="1")
    client.set_tag(first.run_id, OWNER_TAG, dead.text())
    second = opened(uri, outputs.parent.parent / "cartpole-2" / "outputs", run_id=first.run_id)
    assert second.run_id == first.run_id
    second.close("FINISHED")


def test_an_address_is_published_once_the_file_can_be_fetched(line: Line, outputs: Path) -> None:
    tracker = opened(line.url, outputs, patience=AWAY)
    arrived = tracker.publish_checkpoint(checkpoint(outputs, 10), 10)
    assert tracker._connection.sender.drain(LONGEST_S)
    assert tracker.published(arrived) == f"runs:/{tracker.run_id}/checkpoints/model_10.pt"
    line.down()
    waits = tracker.publish_checkpoint(checkpoint(outputs, 20), 20)
    tracker.close("FINISHED")
    assert tracker.published(waits) is None
    line.up()


def test_a_checkpoint_is_checked_against_the_manifest(uri: str, outputs: Path, tmp_path: Path) -> None:
    tracker = opened(uri, outputs)
    path = checkpoint(outputs, 10)
    address = tracker.publish_checkpoint(path, 10)
    assert tracker._connection.sender.drain(LONGEST_S)
    assert fetch(address, tmp_path / "into", tracking_uri=uri).path.read_bytes() == path.read_bytes()
    client = open_client(uri)
    assert not [tag for tag in client.get_run(tracker.run_id).data.tags if "sha256" in tag]
    path.write_bytes(b"another")
    client.log_artifact(tracker.run_id, str(path), "checkpoints")
    with pytest.raises(PlatformError, match="SHA-256 differs"):
        fetch(address, tmp_path / "into", tracking_uri=uri, cache=tmp_path / "another cache")
    tracker.close("FINISHED")


def test_a_run_that_the_server_has_forgotten_is_made_anew_on_request(uri: str, outputs: Path) -> None:
    tracker = opened(uri, outputs)
    tracker.log_metrics({"reward": 1.0}, 1)
    assert tracker._connection.sender.drain(LONGEST_S)
    abandon(tracker)
    journal = outputs / JOURNAL
    open_client(uri).delete_run(tracker.run_id)
    text = journal.read_text().replace(tracker.run_id, "f" * 32)
    journal.write_text(text + to_line(Metrics(values={"reward": 2.0}, step=2, time_ms=2)))

    refused = send_journal(journal, 0.1)
    assert refused.unknown
    assert refused.waiting == 2, "the metric and the end of the killed run"
    assert journal.exists(), "nothing is dropped"
    made = send_journal(journal, 5.0, recreate=True)
    assert made.done
    client = open_client(uri)
    experiment = client.get_experiment_by_name(EXPERIMENT)
    (run,) = client.search_runs([experiment.experiment_id], f"tags.`gaitway.recreated_from` = '{'f' * 32}'")
    assert steps(uri, run.info.run_id) == [1, 2], "everything that the journal has, sent before or not"
    assert not list(outputs.glob("tracking-backlog*"))


def test_a_server_that_hangs_does_not_hold_up_the_start(outputs: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        before = time.monotonic()
        tracker = opened(
            f"http://127.0.0.1:{server.getsockname()[1]}", outputs, patience=dataclasses.replace(AWAY, start=0.2)
        )
        assert time.monotonic() - before < 30.0, "and not the minute after which MLflow gives up"
        assert tracker.run_id == ""
        tracker.close("FINISHED")
    assert (outputs / JOURNAL).exists()


def test_families_of_tags_are_one_tag_each(home: Path, outputs: Path) -> None:
    """Azure ML has room for 50 tags of a run, and a run has as many settings and versions as it likes."""
    tags = {f"gaitway.setting.s{number}": f"{number} (cli --s{number})" for number in range(60)}
    context = RunContext(run="cartpole-1", tracking_uri=ensure_store(home), tags=tags)
    tracker = open_tracker(JOB, context, output_dir=outputs, patience=QUICK)
    tracker.set_tags({"gaitway.version.torch": "2.13.0", "gaitway.version.mlflow": "3.15.0", "seed": "1"})
    for step in range(30):
        tracker.publish_checkpoint(checkpoint(outputs, step), step)
    tracker.close("FINISHED")
    found = open_client(ensure_store(home)).get_run(tracker.run_id).data.tags
    assert found["gaitway.versions"] == "torch=2.13.0; mlflow=3.15.0"
    assert found["gaitway.settings"].startswith("s0=0 (cli --s0); s1=1 (cli --s1); ")
    assert len(found) <= 20
    assert max(map(len, found.values())) <= 1000


def attempt_of(uri: str, outputs: Path, host: str, monkeypatch: pytest.MonkeyPatch, run_id: str = "") -> MlflowTracker:
    """Open the run as an attempt at a platform's job does, on a machine of its own."""
    monkeypatch.setattr("platform.node", lambda: host)
    context = RunContext(run="cartpole-1", tracking_uri=uri, tags={ATTEMPT_TAG: "workflow-7"})
    return open_tracker(JOB, context, run_id=run_id or None, output_dir=outputs, patience=QUICK)


def test_an_attempt_that_has_lost_its_run_publishes_nothing_more(
    uri: str, home: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A platform starts a new attempt while the old one cannot be reached, and the old one comes back."""
    monkeypatch.setattr("gaitway_runtime.tracking.run_store.LEASE_CHECK_S", 0.0)
    folders = [home / name / "runs" / "cartpole-1" / "outputs" for name in ("one", "two")]
    old = attempt_of(uri, folders[0], "one", monkeypatch)
    for step in range(10):
        old.log_metrics({"reward": float(step)}, step)
    assert old._connection.sender.drain(LONGEST_S)
    new = attempt_of(uri, folders[1], "two", monkeypatch, run_id=old.run_id)
    assert new.run_id == old.run_id, "its owner is on another machine and counts as alive"
    for step in range(10, 20):
        old.log_metrics({"reward": -1.0}, step)
    lost = old.publish_checkpoint(checkpoint(folders[0], 19), 19)
    with caplog.at_level(logging.WARNING):
        old.close("FAILED")
    assert "a later attempt continues MLflow run" in caplog.text
    assert old.published(lost) is None
    with pytest.raises(PlatformError, match="a later attempt continues"):
        old.register_model("cartpole", "model/19", {})
    assert not (folders[0] / JOURNAL).exists(), "nothing is left that somebody would send later"
    assert open_client(uri).get_run(new.run_id).info.status == "RUNNING"
    for step in range(8, 20):
        new.log_metrics({"reward": float(step)}, step)
    new.close("FINISHED")
    points = open_client(uri).get_metric_history(new.run_id, "reward")
    assert sorted((point.step, point.value) for point in points) == [(step, float(step)) for step in range(20)]
    assert open_client(uri).get_run(new.run_id).info.status == "FINISHED"


def test_a_sign_of_life_that_cannot_be_given_ends_nothing(
    line: Line, outputs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tracker = opened(line.url, outputs, patience=dataclasses.replace(QUICK, renew=0.0))
    line.down()
    tracker.log_metrics({"reward": 1.0}, 1)
    assert not tracker._connection.sender.drain(0.3)
    line.up()
    tracker.close("FINISHED")
    assert steps(line.url, tracker.run_id) == [1]


def test_a_run_whose_making_was_not_confirmed_is_not_made_twice(mlflow_server: MlflowServer, outputs: Path) -> None:
    lost: list[str] = []

    def losing_the_first(handler: faulty_server.Handler) -> bool:
        if lost or not handler.path.endswith("runs/create"):
            return False
        lost.append(handler.path)
        return faulty_server.losing_the_answer(handler)

    with faulty_server.before(mlflow_server.url) as faulty:
        faulty.set_fault(losing_the_first)
        tracker = opened(faulty.url, outputs)
        tracker.close("FINISHED")
        assert lost
    client = open_client(mlflow_server.url)
    run = client.get_run(tracker.run_id)
    attempt = run.data.tags[ATTEMPT_ID_TAG]
    same = [one for one in client.search_runs([run.info.experiment_id]) if one.data.tags[ATTEMPT_ID_TAG] == attempt]
    assert [one.info.status for one in same] == ["FINISHED"]


def test_older_companions_are_removed_from_the_store(uri: str, outputs: Path) -> None:
    tracker = opened(uri, outputs)
    for iteration in range(4):
        path = outputs / "checkpoints" / f"state_{iteration}.npz"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"state of %d" % iteration)
        tracker.publish_checkpoint(checkpoint(outputs, iteration), iteration)
        tracker.publish_companion(path)
    tracker.close("FINISHED")
    kept = {Path(item.path).name for item in open_client(uri).list_artifacts(tracker.run_id, "checkpoints")}
    assert kept == {*(f"model_{iteration}.pt" for iteration in range(4)), "state_2.npz", "state_3.npz"}


def test_a_relative_database_is_one_file_from_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for named in ("sqlite:///mine.db", f"sqlite:///{tmp_path}/mine.db"):
        monkeypatch.setenv("MLFLOW_TRACKING_URI", named)
        assert tracking_uri_for(RunContext()) == f"sqlite:///{tmp_path}/mine.db"
