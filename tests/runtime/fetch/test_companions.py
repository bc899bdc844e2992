"""Companions of fetched checkpoints: beside them, above ``final``, among a run's artifacts, or not there."""

from __future__ import annotations

from pathlib import Path

import pytest
from gaitway_runtime.fetch import Fetched
from gaitway_runtime.fetch.companions import fetch_companion
from gaitway_runtime.spec.run_context import RunContext


def fetched(path: Path, uri: str = "") -> Fetched:
    return Fetched(path=path, uri=uri or str(path), resolved_uri=uri or str(path), sha256="", size=0)


@pytest.mark.parametrize("place", ["checkpoints/model_7.pt", "checkpoints/final/model_7.pt"])
def test_a_companion_lies_beside_its_checkpoint_or_above_the_folder_of_the_last_one(place: str, tmp_path: Path) -> None:
    checkpoint = tmp_path / place
    checkpoint.parent.mkdir(parents=True)
    companion = tmp_path / "checkpoints" / "state_7.npz"
    companion.write_bytes(b"state")
    found = fetch_companion(fetched(checkpoint), str(checkpoint), tmp_path / "into", RunContext())
    assert found == companion


def test_a_companion_is_fetched_from_the_run_that_the_checkpoint_is_of(tmp_path: Path, home: Path) -> None:
    from mlflow import MlflowClient

    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    client = MlflowClient(uri)
    experiment = client.create_experiment("e", artifact_location=(tmp_path / "artifacts").as_uri())
    run_id = client.create_run(experiment).info.run_id
    (tmp_path / "state_7.npz").write_bytes(b"state")
    client.log_artifact(run_id, str(tmp_path / "state_7.npz"), "checkpoints")
    (tmp_path / "start").mkdir()
    address = f"runs:/{run_id}/checkpoints/final/model_7.pt"
    checkpoint = fetched(tmp_path / "start" / "model_7.pt", address)
    found = fetch_companion(checkpoint, address, tmp_path / "start", RunContext(tracking_uri=uri))
    assert found == tmp_path / "start" / "state_7.npz"
    assert found.read_bytes() == b"state"


def test_no_companion_is_no_error(tmp_path: Path) -> None:
    for name in ("model_7.pt", "agent_4000.pt", "policy.pt"):
        assert fetch_companion(fetched(tmp_path / name), str(tmp_path / name), tmp_path, RunContext()) is None
