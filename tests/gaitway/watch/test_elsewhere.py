"""A run elsewhere in watch and compare: its curves and its newest film come from its tracking server while it runs."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from fakes import remote_platform
from fakes.remote_platform import RemotePlatform

from gaitway import curves
from gaitway.ledger import Ledger
from gaitway.platforms.base import PLATFORMS, RunStatus, StatusReport
from gaitway.run_handle import Run
from gaitway.watch import films
from gaitway.watch.data import read_training

TASK = "Isaac-Cartpole-v0"
RUNNING = StatusReport(RunStatus.RUNNING, "RUNNING")


@pytest.fixture
def remote(monkeypatch: pytest.MonkeyPatch, stand_in: list[str], tmp_path: Path) -> RemotePlatform:
    """A platform elsewhere whose jobs are tracked in a store that this machine can read."""
    found = RemotePlatform()
    monkeypatch.setattr(remote_platform, "PLATFORM", found)
    monkeypatch.setitem(PLATFORMS._loaded, "osmo", found)
    monkeypatch.setenv("TRAINING_PATH", stand_in[1])
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'elsewhere.db'}")
    monkeypatch.setattr(curves, "_mlflow_runs", {})
    monkeypatch.setattr(films, "_next_looks", {})
    return found


def submitted(gaitway: Callable, home: Path, name: str) -> Run:
    assert gaitway("train", "--on", "osmo", "--task", TASK, "--name", name).code == 0
    ledger = Ledger(home)
    return Run(ledger.read(name), ledger)


def track(run: Run, tmp_path: Path, films: dict[str, bytes]) -> None:
    """Write what the job of a run tracks: its marks, a reward, films."""
    from gaitway_runtime.stores.mlflow_client import open_client
    from gaitway_runtime.stores.tracking_server import ensure_database

    ensure_database(tmp_path / "elsewhere.db")
    client = open_client(f"sqlite:///{tmp_path / 'elsewhere.db'}")
    experiment = client.get_experiment_by_name(f"isaaclab-rsl-rl-{TASK}")
    place = (tmp_path / "artifacts").as_uri()
    number = experiment.experiment_id if experiment else client.create_experiment(f"isaaclab-rsl-rl-{TASK}", place)
    run_id = json.loads((run.run_dir / "job.json").read_text())["context"]["run_id"]
    tracked = client.create_run(number, tags={"gaitway.run_id": run_id}).info.run_id
    client.log_metric(tracked, "Train/mean_reward", 2.5, step=7)
    for film, content in films.items():
        (tmp_path / "made").mkdir(exist_ok=True)
        (tmp_path / "made" / film).write_bytes(content)
        client.log_artifact(tracked, str(tmp_path / "made" / film), "videos/training")


def test_a_run_that_goes_on_elsewhere_shows_its_curves_and_its_newest_film(
    gaitway: Callable, remote: RemotePlatform, home: Path, tmp_path: Path
) -> None:
    run = submitted(gaitway, home, "far")
    remote.answers = [RUNNING]
    assert read_training(run)["curves"] == {}, "its job has not begun to track"
    track(run, tmp_path, {"iteration_000100.mp4": b"old", "iteration_000200.mp4": b"new"})
    films._next_looks.clear()
    remote.answers = [RUNNING]
    page = read_training(run)
    assert (page["status"], page["curves"], page["note"]) == ("running", {"Train/mean_reward": [(7, 2.5)]}, "")
    assert page["films"] == ["videos/training/iteration_000200.mp4"]
    assert (run.run_dir / "outputs" / page["films"][0]).read_bytes() == b"new"


def test_a_comparison_holds_the_films_of_runs_elsewhere(
    gaitway: Callable, remote: RemotePlatform, home: Path, tmp_path: Path
) -> None:
    for name in ("a", "b"):
        track(submitted(gaitway, home, name), tmp_path, {"iteration_000100.mp4": name.encode()})
    path = tmp_path / "compare.html"
    assert gaitway("compare", "a", "b", "--page", str(path)).code == 0
    found = re.search(r'id="document">(.*?)</script>', path.read_text(), re.DOTALL)
    assert found
    document = json.loads(found[1])
    assert [film["run"] for film in document["films"]] == ["a", "b"]
    assert [curve["group"] for curve in document["curves"]["Train/mean_reward"]] == ["a (2 seeds)"]


def test_looking_at_an_untracked_run_elsewhere_makes_no_store(
    gaitway: Callable, remote: RemotePlatform, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    run = submitted(gaitway, home, "far")
    remote.answers = [RUNNING]
    page = read_training(run)
    assert (page["curves"], page["films"], page["note"]) == ({}, [], "no MLflow run is known yet")
    assert not list(home.glob("*.db"))
