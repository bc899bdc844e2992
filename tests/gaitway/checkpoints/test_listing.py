"""``gaitway checkpoints``: addresses ready to paste, newest last."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from gaitway_runtime.fetch import fetch
from gaitway_runtime.spec.job import TrainJob
from gaitway_runtime.spec.run_context import RunContext
from gaitway_runtime.stores.mlflow_client import open_client
from gaitway_runtime.stores.tracking_server import ensure_store
from gaitway_runtime.tracking.journal import Artifact, to_line
from gaitway_runtime.tracking.mlflow_tracker import open_tracker

from gaitway.ledger import Ledger

from .conftest import Make

TASK = "Isaac-Cartpole-v0"
FINAL = {"uri": None, "path": "checkpoints/model_19.pt", "iteration": 19, "sha256": "0"}
NOTE = {"run_id": "0123", "experiment": "e", "tracking_uri": "http://127.0.0.1:5000"}
Command = Callable[..., Any]


def uris(answer: Any) -> list[str]:
    return [checkpoint["uri"] for checkpoint in answer.json["checkpoints"]]


def test_all_checkpoints_of_this_folder_newest_last(gaitway: Command, make_run: Make, ledger: Ledger) -> None:
    make_run("a-1", [19, 9], note=NOTE, age=10)
    make_run("b-1", [5], task="Isaac-Ant-v0", age=5)
    answer = gaitway("checkpoints", "--json")
    assert answer.code == 0
    path = str(ledger.run_dir("b-1") / "outputs" / "checkpoints" / "model_5.pt")
    assert uris(answer) == ["runs:/0123/checkpoints/model_9.pt", "runs:/0123/checkpoints/model_19.pt", path]
    assert answer.json["latest"] == path


def test_a_table_for_people_with_the_best_and_the_next_command(gaitway: Command, make_run: Make) -> None:
    make_run("a-1", [9, 19], rewards={10: 4.5, 20: 3.25}, note=NOTE)
    answer = gaitway("checkpoints", "a-1")
    header, first, second = answer.out.splitlines()
    assert header.split() == ["CHECKPOINT", "ITERATION", "REWARD", "RUN", "CREATED"]
    assert first.split()[:4] == ["runs:/0123/checkpoints/model_9.pt", "9", "4.50", "a-1"]
    assert second.split()[:4] == ["runs:/0123/checkpoints/model_19.pt", "19", "3.25", "a-1"]
    assert "best: runs:/0123/checkpoints/model_9.pt" in answer.err
    assert f"next: gaitway infer --task {TASK} --checkpoint-uri runs:/0123/checkpoints/model_9.pt" in answer.err


def test_what_is_not_uploaded_yet_is_listed_by_its_path(gaitway: Command, make_run: Make, ledger: Ledger) -> None:
    make_run("a-1", [9, 19], note=NOTE)
    outputs = ledger.run_dir("a-1") / "outputs"
    waiting = Artifact(path="checkpoints/model_19.pt", artifact_path="checkpoints")
    (outputs / "tracking-backlog.jsonl").write_text(to_line(waiting))
    assert uris(gaitway("checkpoints", "a-1", "--json")) == [
        "runs:/0123/checkpoints/model_9.pt",
        str(outputs / "checkpoints" / "model_19.pt"),
    ]


def test_a_registered_checkpoint_says_so(gaitway: Command, make_run: Make) -> None:
    result = {"final_checkpoint": FINAL, "registered_model": {"name": "cartpole", "version": "3"}}
    make_run("a-1", [9, 19], note=NOTE, result=result)
    found = gaitway("checkpoints", "a-1", "--json").json["checkpoints"]
    assert [checkpoint["model"] for checkpoint in found] == [None, "models:/cartpole/3"]


@pytest.mark.filterwarnings("ignore:.*transition_model_version_stage:FutureWarning")
def test_best_and_latest_of_a_task_over_runs_store_and_registry(
    gaitway: Command, make_run: Make, home: Path, tmp_path: Path
) -> None:
    make_run("a-1", [9], rewards={10: 1.0}, age=10)
    make_run("other-1", [9], task="Isaac-Ant-v0", rewards={10: 99.0})
    context = RunContext(run="colleague-1", tracking_uri=ensure_store(home))
    tracker = open_tracker(TrainJob(task=TASK), context, output_dir=tmp_path / "c" / "outputs")
    tracker.log_metrics({"Train/mean_reward": 7.0}, 30)
    (tmp_path / "model_30.pt").write_bytes(b"weights")
    tracker.publish_checkpoint(tmp_path / "model_30.pt", 30)
    tracker.publish_checkpoint(tmp_path / "model_30.pt", 30, final=True)
    version = tracker.register_model("isaac-cartpole-v0", "checkpoints/final", {"task": TASK, "iteration": "30"})
    withdrawn = tracker.register_model("isaac-cartpole-v0", "checkpoints/final", {"task": TASK, "iteration": "30"})
    open_client(ensure_store(home)).transition_model_version_stage(withdrawn.name, withdrawn.version, "Archived")
    tracker.close("FINISHED")

    answer = gaitway("checkpoints", "--task", "Isaac-Cartpole", "--json")
    published, registered = f"runs:/{tracker.run_id}/checkpoints/model_30.pt", f"models:/{version.name}/1"
    assert set(uris(answer)[1:]) == {published, registered}
    assert answer.json["best"] == published
    assert answer.json["notes"] == []
    for uri in uris(answer):
        assert fetch(uri, tmp_path / "into").sha256, "every line is an address that works"


def test_what_is_known_here_is_not_asked_for_again(
    gaitway: Command, make_run: Make, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run's rewards are a metric's whole history: with many runs of many steps, most of what the list cost."""
    context = RunContext(run="a-1", tracking_uri=ensure_store(home))
    tracker = open_tracker(TrainJob(task=TASK), context, output_dir=tmp_path / "a" / "outputs")
    (tmp_path / "model_9.pt").write_bytes(b"weights")
    tracker.log_metrics({"Train/mean_reward": 7.0}, 9)
    tracker.publish_checkpoint(tmp_path / "model_9.pt", 9)
    tracker.close("FINISHED")
    make_run("a-1", [9], rewards={10: 4.5}, note={**NOTE, "run_id": tracker.run_id})
    asked: list[object] = []
    monkeypatch.setattr("gaitway.checkpoints.tracked.TrackedRuns._rewards", lambda self, run: asked.append(run) or {})
    found = gaitway("checkpoints", "--task", TASK, "--json").json["checkpoints"]
    assert [(one["uri"], one["reward"]) for one in found] == [(f"runs:/{tracker.run_id}/checkpoints/model_9.pt", 4.5)]
    assert not asked


def test_a_server_that_is_away_leaves_what_is_known_here(
    gaitway: Command, make_run: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_run("a-1", [9], note=NOTE)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:1")
    answer = gaitway("checkpoints", "--task", TASK)
    assert answer.code == 0
    assert "runs:/0123/checkpoints/model_9.pt" in answer.out
    assert "note: the tracking server is left out" in answer.err


def test_nothing_to_list_is_no_error_and_an_unknown_run_is(gaitway: Command, make_run: Make) -> None:
    empty = gaitway("checkpoints")
    assert (empty.code, empty.out) == (0, "")
    assert json.loads(gaitway("checkpoints", "--json").out)["checkpoints"] == []
    make_run("a-1", [9])
    unknown = gaitway("checkpoints", "a-2")
    assert unknown.code == 2
    assert "a-1" in unknown.err
    both = gaitway("checkpoints", "a-1", "--task", TASK)
    assert both.code == 2


def test_a_reference_becomes_an_address_before_a_job_is_written(
    gaitway: Command, make_run: Make, ledger: Ledger
) -> None:
    make_run("a-1", [9, 19], rewards={10: 4.5, 20: 3.25}, note=NOTE)
    answer = gaitway(
        *("train", "--task", TASK, "--checkpoint-mode", "resume", "--checkpoint-uri", "a-1@best", "--dry-run", "--json")
    )
    path = str(ledger.run_dir("a-1") / "outputs" / "checkpoints" / "model_9.pt")
    assert f"checkpoint a-1@best is {path}" in answer.json["plan"]["notes"]
    missing = gaitway("train", "--task", TASK, "-M", "resume", "-c", "a-1@7", "--dry-run")
    assert missing.code == 2
    assert "allowed: 9, 19" in missing.err
