"""Metrics of runs that no tracking server knows: watch, compare, status, ui and RUN@best read what the job wrote."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fakes.osmo import OsmoService, Pod
from fakes.osmo.service import LONGEST_S

from gaitway.comparison import find_side
from gaitway.ledger import Ledger
from gaitway.local_tracking import import_runs
from gaitway.run_handle import Run
from gaitway.watch.data import read_training

TRAIN = ("train", "--on", "osmo", "--task", "Isaac-Cartpole-v0", "--num-gpus", "0")
REWARDS = {0: 0.5, 10: 4.0, 20: 3.0}
CURVE = [(float(step), reward) for step, reward in REWARDS.items()]
STORAGE = ("--storage-uri", "s3://bucket/robots")


def write_progress(outputs: Path) -> None:
    outputs.mkdir(parents=True, exist_ok=True)
    reports = [{"phase": "train", "iteration": step + 1, "total": 21, "reward": r} for step, r in REWARDS.items()]
    metrics = [{"step": step, "time": 0, "metrics": {"Train/mean_reward": r}} for step, r in REWARDS.items()]
    for name, lines in (("progress.jsonl", reports), ("metrics.jsonl", metrics)):
        (outputs / name).write_text("".join(json.dumps(line) + "\n" for line in lines))


def training(pod: Pod, log: Callable[[str], None]) -> int:
    """Train in no time; a relay really runs."""
    if pod.name == "gaitway-relay":
        return pod.run(log)
    write_progress(pod.output / "outputs")
    for iteration, reward in REWARDS.items():
        path = f"checkpoints/model_{iteration}.pt"
        found = {"path": path, "iteration": iteration, "sha256": "ab", "kept_at": None, "reward": reward}
        log(f"::gaitway-checkpoint:: {json.dumps(found)}")
    return 0


@pytest.fixture
def ledger(home: Path) -> Ledger:
    return Ledger(home)


def test_the_metrics_of_a_run_without_server_and_storage_come_once_it_has_ended(
    service: OsmoService, gaitway: Any, ledger: Ledger
) -> None:
    service.cluster.runner = training
    service.cluster.log_lines_per_s = 1000.0
    assert gaitway(*TRAIN, "--name", "first").code == 0
    (workflow,) = service.workflows
    service.wait(workflow)
    # A log stream of OSMO's breaks off now and then: what follows comes through the next one.
    service.cut_logs_of, service.cut_logs_after = "gaitway-relay", 2
    assert find_side("first", ledger).history == {"Train/mean_reward": CURVE}
    assert service.cut_logs_after is None
    relays = len(service.workflows)
    page = read_training(Run(ledger.read("first"), ledger))
    assert (page["curves"], page["note"]) == ({"Train/mean_reward": CURVE}, "")
    assert len(service.workflows) == relays == 2, "they are brought once"


def test_the_films_of_a_run_that_has_ended_come_from_its_storage(
    service: OsmoService, gaitway: Any, ledger: Ledger, tmp_path: Path
) -> None:
    def runner(pod: Pod, log: Callable[[str], None]) -> int:
        write_progress(tmp_path / "now")
        kept = f"{pod.environment['KEEP_AT']}/files/outputs"
        for name, content in (
            ("progress.jsonl", (tmp_path / "now" / "progress.jsonl").read_bytes()),
            ("videos/training/iteration_000100.mp4", b"a film"),
            ("checkpoints/model_20.pt", b"weights that nobody asked for"),
        ):
            service.storage.put(f"{kept}/{name}", content)
        return 0

    service.cluster.runner = runner
    assert gaitway(*TRAIN, *STORAGE, "--name", "first").code == 0
    (workflow,) = service.workflows
    service.wait(workflow)
    page = read_training(Run(ledger.read("first"), ledger))
    assert page["films"] == ["videos/training/iteration_000100.mp4"]
    outputs = ledger.run_dir("first") / "outputs"
    assert (outputs / page["films"][0]).read_bytes() == b"a film"
    assert not (outputs / "checkpoints").exists()


def test_the_best_checkpoint_is_known_without_a_server(service: OsmoService, gaitway: Any) -> None:
    service.cluster.runner = training
    assert gaitway(*TRAIN, "--name", "first").code == 0
    (workflow,) = service.workflows
    service.wait(workflow)
    assert gaitway("checkpoints", "first", "--json").json["best"] == "first@10"
    ran = gaitway("infer", "--on", "osmo", *TRAIN[3:], "-c", "first@best", "--dry-run", "--json")
    assert ran.code == 0, ran.err
    assert "outputs/checkpoints/model_10.pt" in ran.json["request"]["body"]
    elsewhere = gaitway("infer", "--task", "Isaac-Cartpole-v0", "-c", "first@best", "--dry-run")
    assert (elsewhere.code, "--pattern 'checkpoints/model_10.pt'" in elsewhere.err) == (2, True), elsewhere.err


@pytest.mark.parametrize("way", ["storage", "rsync", "nothing"])
def test_a_run_that_goes_on_shows_how_far_it_is(
    service: OsmoService, gaitway: Any, ledger: Ledger, tmp_path: Path, way: str
) -> None:
    started, over = threading.Event(), threading.Event()
    service.rsync_enabled = way == "rsync"

    def runner(pod: Pod, log: Callable[[str], None]) -> int:
        write_progress(pod.root / "osmo/run/workspace")
        write_progress(tmp_path / "now")
        if way == "storage":
            for path in (tmp_path / "now").iterdir():
                service.storage.put(f"{pod.environment['KEEP_AT']}/checkpoints/{path.name}", path.read_bytes())
        started.set()
        over.wait(LONGEST_S)
        return 0

    service.cluster.runner = runner
    assert gaitway(*TRAIN, *(STORAGE if way == "storage" else ()), "--name", "first").code == 0
    assert started.wait(LONGEST_S)
    shown = gaitway("status", "first", "--json").json
    page = read_training(Run(ledger.read("first"), ledger))
    over.set()
    assert shown["status"] == page["status"] == "running"
    if way == "nothing":
        assert (shown["progress"], page["curves"]) == (None, {})
        assert "in its task alone until it ends" in page["note"]
    else:
        assert (shown["progress"]["iteration"], shown["progress"]["total"]) == (21, 21)
        assert page["curves"] == {"Train/mean_reward": CURVE}


def test_the_ui_has_the_metrics_of_runs_without_a_server(service: OsmoService, gaitway: Any, ledger: Ledger) -> None:
    from gaitway_runtime.stores.mlflow_client import open_client
    from gaitway_runtime.stores.tracking_server import ensure_store

    assert gaitway(*TRAIN, "--name", "first").code == 0
    write_progress(ledger.run_dir("first") / "outputs")
    uri = ensure_store(ledger.home)
    assert import_runs(ledger, uri) == ["first"]
    assert import_runs(ledger, uri) == []
    client = open_client(uri)
    experiment = client.get_experiment_by_name("isaaclab-rsl-rl-Isaac-Cartpole-v0")
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.data.tags["gaitway.run"] == "first"
    points = client.get_metric_history(run.info.run_id, "Train/mean_reward")
    assert sorted((float(point.step), point.value) for point in points) == CURVE
