"""Nothing is written to the folder where a command is typed: where no store is named, MLflow's own is a file there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from gaitway_runtime.fetch import fetch
from gaitway_runtime.spec.job import TrainJob
from gaitway_runtime.spec.run_context import RunContext
from gaitway_runtime.stores.tracking_server import ensure_store
from gaitway_runtime.tracking import smoke
from gaitway_runtime.tracking.mlflow_tracker import open_tracker

RUN = "0123456789abcdef0123456789abcdef"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the empty folder that is the current one; gaitway's home is elsewhere."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.mark.parametrize(
    "line",
    [
        "runs",
        "checkpoints",
        "checkpoints --task Isaac-Cartpole-v0",
        "sync",
        "compare one two",
        "watch one",
        "train --task Isaac-Cartpole-v0 --checkpoint-uri models:/nobody/latest --checkpoint-mode resume --dry-run",
        "validate --task Isaac-Cartpole-v0 --dry-run --on azureml",
        "infer --task Isaac-Cartpole-v0 --checkpoint-uri models:/nobody@champion --dry-run --on osmo",
        "export models:/nobody/latest",
        f"export models:/m-{RUN}",
        f"export runs:/{RUN}/checkpoints",
        "release models:/nobody/1",
    ],
)
def test_a_command_leaves_the_folder_as_it_is(gaitway: Callable, line: str, here: Path) -> None:
    gaitway(*line.split())
    assert [path.name for path in here.iterdir()] == []


def test_a_tracked_run_and_its_model_leave_the_folder_as_it_is(home: Path, tmp_path: Path, here: Path) -> None:
    context = RunContext(run="walker-1", tracking_uri=ensure_store(home))
    tracker = open_tracker(TrainJob(), context, output_dir=tmp_path / "outputs")
    (tmp_path / "model_9.pt").write_bytes(b"weights")
    tracker.publish_checkpoint(tmp_path / "model_9.pt", 9, final=True)
    version = tracker.register_model("walker", "checkpoints/final", {"task": "Isaac-Cartpole-v0"})
    tracker.close("FINISHED")
    for address in (f"models:/{version.name}/latest", f"runs:/{tracker.run_id}/checkpoints/final"):
        assert fetch(address, tmp_path / "into", context=context).path.read_bytes() == b"weights"
    smoke.run(TrainJob(), context)
    assert [path.name for path in here.iterdir()] == []
