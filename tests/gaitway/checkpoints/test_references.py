"""What a user writes for a checkpoint, and the address that the job gets."""

from __future__ import annotations

from pathlib import Path

import pytest
from gaitway_runtime.fetch.local import LocalAddress
from gaitway_runtime.fetch.models import ModelsAddress
from gaitway_runtime.fetch.runs import RunsAddress
from gaitway_runtime.spec.job import TrainJob
from gaitway_runtime.spec.run_context import RunContext
from gaitway_runtime.stores.mlflow_client import open_client
from gaitway_runtime.stores.tracking_server import ensure_store
from gaitway_runtime.tracking.mlflow_tracker import open_tracker
from hypothesis import given, settings
from hypothesis import strategies as st

from gaitway.checkpoints.references import Reference, parse, resolve
from gaitway.errors import GaitwayError, UsageError
from gaitway.ledger import Ledger

from .conftest import Make

NOTE = {"run_id": "0123", "experiment": "e", "tracking_uri": "http://127.0.0.1:5000"}


def file_of(ledger: Ledger, run: str, iteration: int) -> str:
    return str(ledger.run_dir(run) / "outputs" / "checkpoints" / f"model_{iteration}.pt")


@pytest.mark.parametrize(
    ("text", "reference"),
    [
        ("anymal-3", Reference("anymal-3", "latest")),
        ("anymal-3@latest", Reference("anymal-3", "latest")),
        ("anymal-3@best", Reference("anymal-3", "best")),
        ("isaac-velocity-flat-anymal-c-v0-12@150", Reference("isaac-velocity-flat-anymal-c-v0-12", "150")),
        ("runs:/0123/checkpoints", RunsAddress("0123", "checkpoints")),
        ("models:/anymal@best", ModelsAddress("anymal", None, "best", "")),
        ("./anymal-3", LocalAddress(Path("anymal-3"))),
        ("logs/model_9.pt", LocalAddress(Path("logs/model_9.pt"))),
    ],
)
def test_references_are_told_from_addresses(text: str, reference: object) -> None:
    assert parse(text) == reference


@pytest.mark.parametrize("text", ["", "runs:/", "s3://bucket/x", "models:/x/Production", "a\x00"])
def test_what_is_neither_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse(text)


PIECES = st.sampled_from(["run-1", "@", "latest", "best", "12", "runs:/", "models:/", "/", "..", ":", " ", "é", "\x00"])


@settings(max_examples=2000, deadline=None)
@given(st.one_of(st.text(max_size=40), st.lists(PIECES, max_size=8).map("".join)))
def test_reading_a_reference_raises_nothing_but_the_projects_error(text: str) -> None:
    try:
        found = parse(text)
    except GaitwayError as error:
        assert error.exit_code == 2
    else:
        assert not isinstance(found, Reference) or parse(str(found)) == found


def test_a_run_stands_for_its_newest_its_best_or_a_given_checkpoint(ledger: Ledger, make_run: Make) -> None:
    make_run("a-1", [9, 19, 29], rewards={10: 1.0, 20: 3.0, 30: 2.0}, note=NOTE)
    assert resolve("a-1", ledger) == file_of(ledger, "a-1", 29)
    assert resolve("a-1@latest", ledger) == file_of(ledger, "a-1", 29)
    assert resolve("a-1@best", ledger) == file_of(ledger, "a-1", 19)
    assert resolve("a-1@9", ledger) == file_of(ledger, "a-1", 9)


def test_a_job_elsewhere_gets_an_address_that_it_can_read(ledger: Ledger, make_run: Make) -> None:
    make_run("a-1", [9, 19], note=NOTE)
    assert resolve("a-1@latest", ledger, remote=True) == "runs:/0123/checkpoints/model_19.pt"


@pytest.mark.parametrize("note", [None, {**NOTE, "tracking_uri": "sqlite:////home/me/.gaitway/mlflow.db"}])
def test_a_file_of_this_machine_travels_to_a_job_elsewhere_and_a_folder_does_not(
    ledger: Ledger, make_run: Make, note: dict[str, str] | None
) -> None:
    make_run("a-1", [9], note=note)
    file = file_of(ledger, "a-1", 9)
    for text in ("a-1@latest", file):
        assert resolve(text, ledger, remote=True) == file
    with pytest.raises(UsageError, match="is a folder of this machine"):
        resolve(str(Path(file).parent), ledger, remote=True)


def test_paths_become_absolute_since_the_job_runs_elsewhere(
    ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model_9.pt").touch()
    (tmp_path / "with space.pt").touch()
    assert resolve("model_9.pt", ledger) == str(tmp_path / "model_9.pt"), "a file wins over a run of that name"
    assert resolve("./model_9.pt", ledger) == str(tmp_path / "model_9.pt")
    assert resolve((tmp_path / "with space.pt").as_uri(), ledger) == str(tmp_path / "with space.pt")
    with pytest.raises(UsageError, match="no file, folder or run"):
        resolve("./model_8.pt", ledger)


def test_addresses_pass_through(ledger: Ledger) -> None:
    for text in ("runs:/0123/checkpoints/final", "models:/anymal/latest", "https://host/model.pt"):
        assert resolve(text, ledger) == text
        assert resolve(text, ledger, remote=True) == text


def test_half_a_checkpoint_of_a_killed_run_is_not_its_latest(ledger: Ledger, make_run: Make) -> None:
    make_run("a-1", [9, 19])
    whole = Path(file_of(ledger, "a-1", 19)).read_bytes()
    Path(file_of(ledger, "a-1", 29)).write_bytes(whole[:40])
    assert resolve("a-1@latest", ledger) == file_of(ledger, "a-1", 19)


def test_what_a_run_does_not_have_is_said_with_what_it_has(ledger: Ledger, make_run: Make) -> None:
    make_run("a-1", [9, 19])
    with pytest.raises(UsageError, match="no checkpoint 7") as caught:
        resolve("a-1@7", ledger)
    assert caught.value.allowed == "9, 19"
    with pytest.raises(UsageError, match="no reward is known"):
        resolve("a-1@best", ledger)
    with pytest.raises(UsageError, match="no run") as caught:
        resolve("a-2@latest", ledger)
    assert "a-1" in str(caught.value.hint)


def test_a_run_elsewhere_is_known_by_its_result_without_asking_anyone(ledger: Ledger, make_run: Make) -> None:
    final = {"uri": "runs:/77/checkpoints/final/model_99.pt", "iteration": 99, "path": "x", "sha256": "0"}
    make_run("b-1", [], platform="osmo", result={"final_checkpoint": final, "metrics": {"mean_reward": 5.0}})
    assert resolve("b-1", ledger, remote=True) == "runs:/77/checkpoints/final/model_99.pt"
    assert resolve("b-1@best", ledger, remote=True) == "runs:/77/checkpoints/final/model_99.pt"


@pytest.mark.parametrize("run_id", ["", "e0c1"], ids=["of an older release", "of this release"])
def test_a_run_elsewhere_is_looked_up_on_its_tracking_server(
    ledger: Ledger, make_run: Make, tmp_path: Path, run_id: str
) -> None:
    uri = ensure_store(tmp_path / "server")
    context = RunContext(run="b-1", run_id=run_id, platform="osmo", tracking_uri=uri)
    make_run("b-1", [], platform="osmo", context=context)
    tracker = open_tracker(TrainJob(task="Isaac-Cartpole-v0"), context, output_dir=tmp_path / "pod" / "outputs")
    for iteration, reward in ((9, 1.0), (19, 3.0), (29, 2.0)):
        tracker.log_metrics({"Train/mean_reward": reward}, iteration)
        path = tmp_path / f"model_{iteration}.pt"
        path.write_bytes(b"weights")
        tracker.publish_checkpoint(path, iteration)
    tracker.close("FINISHED")
    prefix = f"runs:/{tracker.run_id}/checkpoints"
    assert resolve("b-1@latest", ledger) == f"{prefix}/model_29.pt"
    assert resolve("b-1@best", ledger) == f"{prefix}/model_19.pt"
    assert resolve("b-1@9", ledger) == f"{prefix}/model_9.pt"
    if run_id:
        client = open_client(uri)
        client.rename_experiment(client.get_run(tracker.run_id).info.experiment_id, "walking, second try")
        assert resolve("b-1@latest", ledger) == f"{prefix}/model_29.pt", "its experiment was renamed"
