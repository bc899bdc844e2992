"""``gaitway sync``: what a run could not send reaches its tracking server later."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fakes import mlflow_server as mlflow_process
from fakes.mlflow_server import MlflowServer
from fakes.proxy import Line
from gaitway_runtime.spec.job import TrainJob
from gaitway_runtime.spec.result import CheckpointRef, Result, write
from gaitway_runtime.spec.run_context import RunContext
from gaitway_runtime.stores.mlflow_client import open_client
from gaitway_runtime.tracking.delivery import Patience
from gaitway_runtime.tracking.journal import JOURNAL
from gaitway_runtime.tracking.mlflow_tracker import MlflowTracker, open_tracker

from gaitway import unpublished
from gaitway.ledger import Ledger, RunRecord

TASK = "Isaac-Cartpole-v0"
IMPATIENT = Patience(start=2.0, flush=0.05, first_delay=0.01, longest_delay=0.1, at_end=0.3, when_stopped=0.3)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowServer]:
    with mlflow_process.running(tmp_path_factory.mktemp("mlflow")) as found:
        yield found


@pytest.fixture
def line(server: MlflowServer) -> Iterator[Line]:
    found = Line(server.port)
    found.up()
    yield found
    found.down()


def begun(home: Path, url: str, name: str = "walker-1") -> MlflowTracker:
    """Begin a run of the ledger that reports to a server."""
    ledger = Ledger(home)
    run_dir = ledger.reserve("walker", name)
    created = "2026-01-01T00:00:00+00:00"
    ledger.write(RunRecord(name=name, platform="local", kind="train", task=TASK, created=created, command=("gaitway",)))
    context = RunContext(run=name, run_id=f"id-of-{name}", tracking_uri=url)
    tracker = open_tracker(TrainJob(task=TASK), context, output_dir=run_dir / "outputs", patience=IMPATIENT)
    checkpoint = run_dir / "outputs" / "checkpoints" / "model_9.pt"
    checkpoint.parent.mkdir()
    checkpoint.write_bytes(b"weights")
    return tracker


def end(home: Path, tracker: MlflowTracker) -> None:
    """End a run as its job does."""
    outputs = Ledger(home).run_dir("walker-1") / "outputs"
    address = tracker.publish_checkpoint(outputs / "checkpoints" / "model_9.pt", 9, final=True)
    tracker.close("FINISHED")
    uri = tracker.published(address)
    final = CheckpointRef(uri=uri, path="checkpoints/model_9.pt", iteration=9, sha256="0" * 64)
    write(Result(kind="train", task=TASK, status="succeeded", final_checkpoint=final, published=bool(uri)), outputs)


def test_a_run_that_ended_while_its_server_was_away_is_finished_by_sync(
    gaitway: Callable[..., Any], home: Path, line: Line
) -> None:
    tracker = begun(home, line.url)
    line.down()
    tracker.log_metrics({"reward": 1.0}, 1)
    end(home, tracker)

    shown = gaitway("status", "walker-1")
    assert f"records wait for {line.url} (gaitway sync)" in shown.out
    assert "runs:/" not in shown.out, "no address that cannot be fetched"
    document = gaitway("status", "walker-1", "--json").json
    assert document["published"] is False
    assert document["final_checkpoint"]["uri"] is None
    assert Path(document["final_checkpoint"]["path"]).is_file()

    waits = gaitway("sync")
    assert waits.code == 4
    assert f"records wait for {line.url}" in waits.out
    line.up()
    sent = gaitway("sync", "walker-1", "--json")
    assert sent.code == 0, sent.err
    assert [(one["run"], one["waiting"]) for one in sent.json] == [("walker-1", 0)]
    run = open_client(line.url).get_run(tracker.run_id)
    assert (run.info.status, run.data.metrics) == ("FINISHED", {"reward": 1.0})
    assert gaitway("sync").err.splitlines()[-1] == "nothing waits"
    assert gaitway("status", "walker-1", "--json").json["waiting"] is None


def test_a_killed_run_is_ended_and_what_it_had_left_is_sent(
    gaitway: Callable[..., Any], home: Path, server: MlflowServer
) -> None:
    tracker = begun(home, server.url)
    tracker._connection.sender.stop()
    tracker.log_metrics({"reward": 5.0}, 7)
    tracker._connection.journal.close(delete=False)
    assert gaitway("sync").code == 0
    run = open_client(server.url).get_run(tracker.run_id)
    assert (run.info.status, run.data.metrics) == ("KILLED", {"reward": 5.0})
    assert run.data.tags["gaitway.run_id"] == "id-of-walker-1"


def test_a_server_that_was_emptied_is_said_with_the_way_out(
    gaitway: Callable[..., Any], home: Path, server: MlflowServer
) -> None:
    tracker = begun(home, server.url)
    tracker.log_metrics({"reward": 5.0}, 7)
    assert tracker._connection.sender.drain(10)
    tracker._connection.sender.stop()
    tracker._connection.journal.close(delete=False)
    journal = Ledger(home).run_dir("walker-1") / "outputs" / JOURNAL
    open_client(server.url).delete_run(tracker.run_id)
    journal.write_text(journal.read_text().replace(tracker.run_id, "0" * 32))

    answer = gaitway("sync")
    assert answer.code == 4
    assert "does not know the run any more" in answer.out
    assert "gaitway sync --recreate" in answer.err
    assert gaitway("sync", "--recreate").code == 0
    assert not journal.exists()
    client = open_client(server.url)
    experiment = client.get_experiment_by_name(tracker.experiment)
    (run,) = client.search_runs([experiment.experiment_id], f"tags.`gaitway.recreated_from` = '{'0' * 32}'")
    assert run.data.metrics == {"reward": 5.0}


def test_an_unknown_run_is_named(gaitway: Callable[..., Any], home: Path) -> None:
    assert gaitway("sync", "nothing").code == 2
    assert gaitway("sync").code == 0


@pytest.mark.parametrize("words", [("runs",), ("status", "walker-1"), ("checkpoints", "walker-1")])
def test_commands_that_look_at_runs_begin_the_delivery_at_most_once_a_minute(
    words: tuple[str, ...],
    gaitway: Callable[..., Any],
    home: Path,
    line: Line,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tracker = begun(home, line.url)
    line.down()
    tracker.log_metrics({"reward": 1.0}, 1)
    end(home, tracker)
    started: list[list[str]] = []
    monkeypatch.setattr(unpublished.subprocess, "Popen", lambda command, **_: started.append(command))
    assert "are being sent" in gaitway(*words).err
    assert "are being sent" not in gaitway(*words).err
    assert [command[1:4] for command in started] == [["-m", "gaitway", "sync"]]
    hour = time.time() + 3600.0
    os.utime(home / unpublished.STAMP, (hour, hour))
    assert "are being sent" in gaitway(*words).err, "a clock that was set back does not hold it up"


def test_a_delivery_that_cannot_begin_ends_no_command(
    gaitway: Callable[..., Any], home: Path, line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    tracker = begun(home, line.url)
    line.down()
    tracker.log_metrics({"reward": 1.0}, 1)
    end(home, tracker)

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(unpublished.subprocess, "Popen", refuse)
    monkeypatch.setattr(unpublished.Path, "touch", refuse)
    for words in (("runs",), ("status", "walker-1"), ("checkpoints", "walker-1")):
        answer = gaitway(*words)
        assert answer.code == 0, answer.err
        assert "are being sent" not in answer.err
