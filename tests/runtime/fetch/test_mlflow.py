"""Checkpoints in MLflow: every form of address, on the local store and on a real server, and the traps in between."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import mlflow
import pytest
from fakes import http_server as fake
from fakes.http_server import HttpServer
from fakes.mlflow_server import MlflowServer
from fakes.proxy import Line
from gaitway_runtime.fetch import fetch
from gaitway_runtime.spec.errors import GaitwayError, PlatformError, UsageError
from gaitway_runtime.spec.files import artifact_location
from gaitway_runtime.spec.job import TrainJob
from gaitway_runtime.spec.run_context import RunContext
from gaitway_runtime.stores.mlflow_client import open_client
from gaitway_runtime.stores.streams import StreamLimits
from gaitway_runtime.stores.tracking_server import ensure_store
from gaitway_runtime.tracking.mlflow_tracker import open_tracker

MODEL = "anymal-rough-terrain"


@dataclass(frozen=True)
class Published:
    """A run with checkpoints 10, 20 and (final) 30, its folder registered as versions 1 and 2 of a model."""

    uri: str
    run_id: str
    sha256: dict[int, str]


def publish(uri: str, folder: Path) -> Published:
    tracker = open_tracker(TrainJob(), RunContext(run="r", tracking_uri=uri), output_dir=folder / "r" / "outputs")
    hashes = {}
    for iteration in (10, 20, 30):
        path = folder / "r" / "outputs" / f"model_{iteration}.pt"
        path.write_bytes(os.urandom(100_000))
        hashes[iteration] = hashlib.sha256(path.read_bytes()).hexdigest()
        tracker.publish_checkpoint(path, iteration)
    tracker.publish_checkpoint(path, 30, final=True)
    tracker.register_model(MODEL, "checkpoints/final", {})
    tracker.register_model(MODEL, "checkpoints/final", {})
    tracker.close("FINISHED")
    open_client(uri).set_registered_model_alias(MODEL, "best", "1")
    return Published(uri, tracker.run_id, hashes)


@pytest.fixture(scope="module")
def on_server(mlflow_server: MlflowServer, tmp_path_factory: pytest.TempPathFactory) -> Published:
    return publish(mlflow_server.url, tmp_path_factory.mktemp("server"))


@pytest.fixture(scope="module")
def in_store(tmp_path_factory: pytest.TempPathFactory) -> Published:
    folder = tmp_path_factory.mktemp("store")
    return publish(ensure_store(folder / "home"), folder)


@pytest.fixture(params=["in_store", "on_server"])
def published(request: pytest.FixtureRequest) -> Published:
    found: Published = request.getfixturevalue(request.param)
    return found


@pytest.mark.parametrize(
    ("address", "iteration", "resolved", "note"),
    [
        ("runs:/{run}/checkpoints/final/model_30.pt", 30, "runs:/{run}/checkpoints/final/model_30.pt", ""),
        ("runs:/{run}/checkpoints/model_20.pt", 20, "runs:/{run}/checkpoints/model_20.pt", ""),
        ("runs:/{run}/checkpoints/final", 30, "runs:/{run}/checkpoints/final/model_30.pt", "newest of 1 checkpoint in"),
        ("runs:/{run}/checkpoints/", 30, "runs:/{run}/checkpoints/model_30.pt", "newest of 3 checkpoints in"),
        ("runs:/{run}", 30, "runs:/{run}/checkpoints/model_30.pt", "newest of 3 checkpoints in"),
        ("models:/{model}/1", 30, "models:/{model}/1/model_30.pt", ""),
        ("models:/{model}/1/model_30.pt", 30, "models:/{model}/1/model_30.pt", ""),
        ("models:/{model}/latest", 30, "models:/{model}/2/model_30.pt", "is version 2"),
        ("models:/{model}@best", 30, "models:/{model}/1/model_30.pt", "is version 1"),
    ],
)
def test_every_form_of_address_leads_to_the_file(
    published: Published, tmp_path: Path, address: str, iteration: int, resolved: str, note: str
) -> None:
    names = {"run": published.run_id, "model": MODEL}
    found = fetch(address.format(**names), tmp_path / "into", tracking_uri=published.uri)
    assert hashlib.sha256(found.path.read_bytes()).hexdigest() == published.sha256[iteration] == found.sha256
    assert found.resolved_uri == resolved.format(**names)
    assert (found.run_id, found.iteration) == (published.run_id, iteration)
    assert note in found.note


@pytest.mark.parametrize(
    "address",
    [
        "runs:/{run}/checkpoints/model_31.pt",
        "runs:/{run}/nowhere",
        "runs:/0123456789abcdef0123456789abcdef/checkpoints",
        "models:/nobody/1",
        "models:/nobody/latest",
        "models:/{model}/99",
        "models:/{model}@worst",
        "models:/{model}/1/model_31.pt",
    ],
)
def test_what_is_not_there_is_a_clear_error(published: Published, tmp_path: Path, address: str) -> None:
    with pytest.raises(UsageError) as caught:
        fetch(address.format(run=published.run_id, model=MODEL), tmp_path, tracking_uri=published.uri)
    assert caught.value.exit_code == 2
    assert str(caught.value.source).startswith(address.format(run=published.run_id, model=MODEL)[:12])


def test_a_version_registered_on_a_single_file_is_fetched_all_the_same(published: Published, tmp_path: Path) -> None:
    """MLflow itself reports success for it and leaves an empty folder."""
    client = open_client(published.uri)
    name = f"single-file-{published.uri[:4]}"
    client.create_registered_model(name)
    artifacts = client.get_run(published.run_id).info.artifact_uri
    client.create_model_version(name, f"{artifacts}/checkpoints/model_20.pt", published.run_id)
    found = fetch(f"models:/{name}/1", tmp_path, tracking_uri=published.uri)
    assert found.sha256 == published.sha256[20]


@pytest.mark.filterwarnings("ignore:.*transition_model_version_stage:FutureWarning")
def test_the_latest_version_is_none_that_its_owner_has_archived(published: Published, tmp_path: Path) -> None:
    """By its number or an alias it can be had all the same, and is named as what it is."""
    client = open_client(published.uri)
    name = f"withdrawn-{published.uri[:4]}"
    client.create_registered_model(name)
    artifacts = client.get_run(published.run_id).info.artifact_uri
    for _ in range(4):
        client.create_model_version(name, f"{artifacts}/checkpoints/final", published.run_id)
    client.set_registered_model_alias(name, "champion", "3")
    client.delete_model_version(name, "4")
    client.transition_model_version_stage(name, "3", "Archived")

    def note_of(address: str) -> str:
        return fetch(address, tmp_path / "into", tracking_uri=published.uri).note

    assert note_of(f"models:/{name}/latest") == f"models:/{name}/latest is version 2"
    for asked in (f"models:/{name}/3", f"models:/{name}@champion"):
        assert note_of(asked) == f"{asked} is version 3, which is archived"
    for version in ("1", "2"):
        client.transition_model_version_stage(name, version, "Archived")
    with pytest.raises(UsageError, match="are archived") as caught:
        note_of(f"models:/{name}/latest")
    assert f"models:/{name}/3" in str(caught.value.hint)


def test_an_artifact_that_is_not_what_its_run_says_is_refused(in_store: Published, tmp_path: Path) -> None:
    client = open_client(in_store.uri)
    run = client.create_run("0")
    (tmp_path / "model_5.pt").write_bytes(b"something else")
    client.log_artifact(run.info.run_id, str(tmp_path / "model_5.pt"), "checkpoints")
    client.set_tag(run.info.run_id, "gaitway.sha256.model_5", "0" * 64)
    with pytest.raises(PlatformError, match="promised"):
        fetch(f"runs:/{run.info.run_id}/checkpoints", tmp_path / "into", tracking_uri=in_store.uri)
    assert not (tmp_path / "into" / "model_5.pt").exists()


def test_a_sidecar_among_the_artifacts_is_checked(published: Published, tmp_path: Path) -> None:
    client = open_client(published.uri)
    experiment = client.get_run(published.run_id).info.experiment_id
    run = client.create_run(experiment)
    (tmp_path / "model_5.pt").write_bytes(b"weights")
    (tmp_path / "model_5.pt.sha256").write_text("0" * 64)
    client.log_artifacts(run.info.run_id, str(tmp_path), "checkpoints")
    with pytest.raises(PlatformError, match="promised"):
        fetch(f"runs:/{run.info.run_id}/checkpoints", tmp_path / "into", tracking_uri=published.uri)


def test_a_link_that_leads_out_of_the_artifacts_is_refused(in_store: Published, tmp_path: Path) -> None:
    client = open_client(in_store.uri)
    run = client.create_run("0")
    secret = tmp_path / "secret.pt"
    secret.write_bytes(b"not yours")
    folder = Path(run.info.artifact_uri.removeprefix("file://")) / "checkpoints"
    folder.mkdir(parents=True)
    (folder / "model_1.pt").symlink_to(secret)
    with pytest.raises(GaitwayError):
        fetch(f"runs:/{run.info.run_id}/checkpoints", tmp_path / "into", tracking_uri=in_store.uri)
    assert not (tmp_path / "into").exists() or not list((tmp_path / "into").iterdir())


def test_a_known_checkpoint_is_not_transferred_twice(on_server: Published, tmp_path: Path, home: Path) -> None:
    address = f"runs:/{on_server.run_id}/checkpoints/model_20.pt"
    fetch(address, tmp_path / "a", tracking_uri=on_server.uri)
    kept = home / "cache" / on_server.sha256[20]
    before = kept.stat().st_ino
    assert fetch(address, tmp_path / "b", tracking_uri=on_server.uri).sha256 == on_server.sha256[20]
    assert kept.stat().st_ino == before


def test_a_server_that_is_away_is_a_platforms_failure(
    line: Line, on_server: Published, tmp_path: Path, limits: StreamLimits
) -> None:
    address = f"runs:/{on_server.run_id}/checkpoints/model_20.pt"
    assert fetch(address, tmp_path, tracking_uri=line.url, limits=limits).iteration == 20
    line.down()
    with pytest.raises(PlatformError) as caught:
        fetch(address, tmp_path, tracking_uri=line.url, limits=limits)
    assert caught.value.exit_code == 4


def hostile(server: HttpServer, *names: str, content: bytes = b"weights") -> str:
    """Make a server that speaks just enough of MLflow to list what it likes."""
    run = {"info": {"run_id": "r1", "experiment_id": "1", "artifact_uri": "mlflow-artifacts:/1/r1/artifacts"}}
    server.files["/api/2.0/mlflow/runs/get"] = json.dumps({"run": run}).encode()
    listed = [{"path": name, "is_dir": False, "file_size": len(content)} for name in names]
    server.files["/api/2.0/mlflow-artifacts/artifacts"] = json.dumps({"files": listed}).encode()
    for name in names:
        server.files[f"/api/2.0/mlflow-artifacts/artifacts/1/r1/artifacts/{name}"] = content
    return server.url


@pytest.mark.parametrize(
    "name", ["../../../model_1.pt", "/etc/model_1.pt", "..\\..\\model_1.pt", "%2e%2e/model_1.pt", "a/../model_1.pt"]
)
def test_a_server_that_lists_files_outside_of_its_folder_is_refused(
    http_server: HttpServer, tmp_path: Path, limits: StreamLimits, name: str
) -> None:
    uri = hostile(http_server, name)
    with pytest.raises(GaitwayError):
        fetch("runs:/r1", tmp_path / "into", tracking_uri=uri, limits=limits)
    assert not list(tmp_path.rglob("model_1.pt"))


def test_a_server_whose_file_is_larger_than_any_checkpoint_is_refused(
    http_server: HttpServer, tmp_path: Path, limits: StreamLimits
) -> None:
    uri = hostile(http_server, "model_1.pt")
    assert fetch("runs:/r1", tmp_path / "into", tracking_uri=uri, limits=limits).iteration == 1
    with pytest.raises(PlatformError, match="too large"):
        fetch("runs:/r1", tmp_path / "b", tracking_uri=uri, limits=dataclasses.replace(limits, max_bytes=3))


def test_passing_trouble_of_the_tracking_server_is_sat_out(
    http_server: HttpServer, tmp_path: Path, limits: StreamLimits
) -> None:
    uri = hostile(http_server, "model_1.pt")
    http_server.plan("/api/2.0/mlflow/runs/get", fake.status(429), fake.status(503), fake.reset)
    assert fetch("runs:/r1", tmp_path, tracking_uri=uri, limits=limits).iteration == 1


def test_credentials_of_the_tracking_server_open_its_artifacts_too(
    http_server: HttpServer, tmp_path: Path, limits: StreamLimits, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = hostile(http_server, "model_1.pt")
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "t0ken-t0ken")
    fetch("runs:/r1", tmp_path, tracking_uri=uri, limits=limits)
    assert {request.headers.get("Authorization") for request in http_server.requests} == {"Bearer t0ken-t0ken"}


def test_artifacts_on_another_machine_are_said_to_be_missing(in_store: Published, tmp_path: Path) -> None:
    client = open_client(in_store.uri)
    experiment = client.create_experiment("elsewhere", artifact_location=f"file://{tmp_path}/elsewhere")
    run = client.create_run(experiment)
    (tmp_path / "model_1.pt").write_bytes(b"weights")
    client.log_artifact(run.info.run_id, str(tmp_path / "model_1.pt"))
    shutil.rmtree(tmp_path / "elsewhere")
    with pytest.raises(UsageError, match="no checkpoint"):
        fetch(f"runs:/{run.info.run_id}", tmp_path / "into", tracking_uri=in_store.uri)


@pytest.fixture
def default_uri(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The local store, as MLflow's own default too, which Azure ML's plug-in may have set in this process."""
    uri = ensure_store(home)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    mlflow.set_tracking_uri(uri)
    yield uri
    mlflow.set_tracking_uri("")


def test_a_model_that_mlflow_logged_is_found_by_each_of_its_addresses(
    home: Path, tmp_path: Path, default_uri: str
) -> None:
    """MLflow 3 keeps what ``log_model`` made apart from the run's artifacts, as ``models/m-<id>``."""
    uri = default_uri  # registration resolves the model by it
    client = open_client(uri)
    experiment = client.create_experiment("walker", artifact_location=artifact_location(home, "walker"))
    run = client.create_run(experiment).info.run_id
    model = client.create_logged_model(experiment, name="policy", source_run_id=run)
    (tmp_path / "model" / "artifacts").mkdir(parents=True)
    (tmp_path / "model" / "artifacts" / "model_99.pt").write_bytes(b"weights")
    client.log_model_artifacts(model.model_id, str(tmp_path / "model"))
    client.create_registered_model("walker-policy")
    client.create_model_version("walker-policy", f"models:/{model.model_id}", run, model_id=model.model_id)
    client.set_registered_model_alias("walker-policy", "champion", "1")
    for address in (
        *("models:/walker-policy/1", "models:/walker-policy@champion", "models:/walker-policy/latest"),
        *(f"models:/{model.model_id}", f"models:/{model.model_id}/artifacts/model_99.pt"),
        *(f"runs:/{run}/policy", f"runs:/{run}/policy/artifacts/model_99.pt"),
    ):
        found = fetch(address, tmp_path / "into", tracking_uri=uri)
        assert found.path.read_bytes() == b"weights", address
        assert found.run_id == run
    with pytest.raises(UsageError):
        fetch(f"runs:/{run}/nothing", tmp_path / "into", tracking_uri=uri)
