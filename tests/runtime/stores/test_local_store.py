"""The local store: quick, whole or not there, and honest about what it finds."""

import re
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata
from pathlib import Path

import mlflow
import pytest
from gaitway_runtime.fetch import fetch
from gaitway_runtime.spec.errors import ConfigError
from gaitway_runtime.spec.files import absolute_store, artifact_location, check_store, database_path, store_uri
from gaitway_runtime.spec.run_context import RunContext
from gaitway_runtime.stores import tracking_server as store_module
from gaitway_runtime.stores.mlflow_client import open_client
from gaitway_runtime.stores.tracking_server import ensure_store, tracking_uri_for


@pytest.mark.parametrize("name", ["home", "with space", "ünïcode", "100%"])
def test_a_new_store_is_ready_for_mlflow_with_its_artifacts_beside_it(tmp_path: Path, name: str) -> None:
    home = tmp_path / name
    uri = ensure_store(home)
    assert uri == store_uri(home)
    client = open_client(uri)
    experiment = client.get_experiment(client.create_experiment("e", artifact_location=artifact_location(home, "e")))
    run = client.create_run(experiment.experiment_id)
    client.log_text(run.info.run_id, "hello", "folder/note.txt")
    assert (home / "artifacts" / "e" / run.info.run_id / "artifacts" / "folder" / "note.txt").read_text() == "hello"
    assert ensure_store(home) == uri, "an existing store is kept"
    assert client.get_run(run.info.run_id)


def test_the_default_experiment_keeps_its_artifacts_in_the_home_too(tmp_path: Path) -> None:
    client = open_client(ensure_store(tmp_path))
    assert client.get_experiment("0").artifact_location.startswith((tmp_path / "artifacts").as_uri())


def test_many_processes_at_once_make_one_store(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from gaitway_runtime.stores.tracking_server import ensure_store;"
        "print(ensure_store(Path(sys.argv[1])))"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "home")]
    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(lambda _: subprocess.run(command, capture_output=True, text=True), range(8)))
    assert [run.stdout.strip() for run in done] == [store_uri(tmp_path / "home")] * 8, done
    assert [path.name for path in (tmp_path / "home").iterdir()] == ["mlflow.db"]


def test_whoever_comes_second_does_not_replace_a_store_in_use(tmp_path: Path) -> None:
    database = tmp_path / "mlflow.db"
    ensure_store(tmp_path)
    before = database.stat().st_ino
    store_module._create(database)
    assert database.stat().st_ino == before


@pytest.mark.parametrize("content", [b"", b"not a database at all" * 100, b"SQLite format 3\x00" + b"\x00" * 50])
def test_a_damaged_store_is_a_clear_error_and_left_alone(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "mlflow.db").write_bytes(content)
    with pytest.raises(ConfigError, match="damaged") as caught:
        ensure_store(tmp_path)
    assert "mv" in str(caught.value.hint)
    assert (tmp_path / "mlflow.db").read_bytes() == content


def test_half_a_migration_is_noticed(tmp_path: Path) -> None:
    ensure_store(tmp_path)
    with sqlite3.connect(tmp_path / "mlflow.db") as database:
        database.execute("DROP TABLE model_versions")
    with pytest.raises(ConfigError, match="damaged"):
        ensure_store(tmp_path)


def test_a_store_of_another_mlflow_says_how_to_upgrade(tmp_path: Path) -> None:
    ensure_store(tmp_path)
    with sqlite3.connect(tmp_path / "mlflow.db") as database:
        database.execute("UPDATE alembic_version SET version_num = 'cafe'")
    with pytest.raises(ConfigError, match="another MLflow") as caught:
        ensure_store(tmp_path)
    assert "mlflow db upgrade" in str(caught.value.hint)


def test_a_home_that_cannot_be_written_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="cannot be made") as caught:
        ensure_store(tmp_path / "file")
    assert "GAITWAY_HOME" in str(caught.value.hint)


def test_a_relative_database_is_not_looked_for_in_another_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "my%20robot"
    folder.mkdir()
    monkeypatch.chdir(folder)
    with pytest.raises(ConfigError, match="contains '%20'"):
        absolute_store("sqlite:///mlflow.db")
    assert absolute_store("sqlite:////srv/mlflow.db") == "sqlite:////srv/mlflow.db"


def test_a_cache_that_cannot_be_used_only_costs_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cache").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert open_client(ensure_store(tmp_path / "home")).search_experiments()


def test_without_mlflow_the_hint_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", missing)
    with pytest.raises(ConfigError, match="not installed") as caught:
        ensure_store(tmp_path)
    assert "[local]" in str(caught.value.hint)


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        ("sqlite:////a/b.db", Path("/a/b.db")),
        ("sqlite:///b.db?timeout=5", Path("b.db")),
        ("http://127.0.0.1:5000", None),
        ("azureml://eastus.api.azureml.ms/mlflow/v1.0/x", None),
    ],
)
def test_the_file_behind_a_tracking_uri(uri: str, path: Path | None) -> None:
    assert database_path(uri) == path


def test_a_store_that_was_moved_finds_its_artifacts_and_keeps_new_ones_beside_it(tmp_path: Path) -> None:
    before, after = tmp_path / "a" / ".gaitway", tmp_path / "b c" / ".gaitway"
    client = open_client(ensure_store(before))
    location = artifact_location(before, "walking")
    run = client.create_run(client.create_experiment("walking", artifact_location=location))
    (tmp_path / "model_9.pt").write_bytes(b"weights")
    client.log_artifact(run.info.run_id, str(tmp_path / "model_9.pt"), "checkpoints")
    client.create_registered_model("walker")
    client.create_model_version("walker", f"{run.info.artifact_uri}/checkpoints", run.info.run_id)
    before.parent.rename(after.parent)

    uri = ensure_store(after)
    for address in (f"runs:/{run.info.run_id}/checkpoints", "models:/walker/1"):
        assert fetch(address, tmp_path / "into", tracking_uri=uri).path.read_bytes() == b"weights"
    moved = open_client(uri)
    again = moved.create_run(moved.get_experiment_by_name("walking").experiment_id)
    moved.log_artifact(again.info.run_id, str(tmp_path / "model_9.pt"), "checkpoints")
    assert not before.parent.exists(), "the old folder is not made again"
    assert list(after.rglob(f"{again.info.run_id}/artifacts/checkpoints/model_9.pt"))


@pytest.mark.parametrize("name", ["a#b", "a%b", "100% b", "a b", "ä&b", "a'b"])
def test_a_folder_with_special_signs_in_its_name_holds_a_store(tmp_path: Path, name: str) -> None:
    home = tmp_path / name
    client = open_client(ensure_store(home))
    run = client.create_run(client.create_experiment("e", artifact_location=artifact_location(home, "e")))
    (tmp_path / "model_9.pt").write_bytes(b"weights")
    client.log_artifact(run.info.run_id, str(tmp_path / "model_9.pt"), "checkpoints")
    address = f"runs:/{run.info.run_id}/checkpoints/model_9.pt"
    assert fetch(address, tmp_path / "into", tracking_uri=store_uri(home)).path.read_bytes() == b"weights"
    assert {path.name for path in tmp_path.iterdir()} >= {name}
    assert list(home.rglob("model_9.pt"))


@pytest.mark.parametrize(("name", "sign"), [("a?b", "?"), ("my%20robot", "%20"), ("a%2Fb", "%2F")])
def test_a_name_that_a_database_address_cannot_contain_is_refused(tmp_path: Path, name: str, sign: str) -> None:
    with pytest.raises(ConfigError, match=f"contains '{re.escape(sign)}'") as caught:
        store_uri(tmp_path / name)
    assert str(tmp_path / name) in str(caught.value.source)
    assert "GAITWAY_HOME" in str(caught.value.hint)


@pytest.mark.parametrize("uri", ["./mlruns", "mlruns", "file:./mlruns", "file:///x/mlruns", "/x/mlruns"])
def test_the_classic_file_store_is_refused_with_what_to_do(uri: str) -> None:
    with pytest.raises(ConfigError, match="file store") as caught:
        check_store(uri, {})
    assert "sqlite:///mlflow.db" in str(caught.value.hint)
    check_store(uri, {"MLFLOW_ALLOW_FILE_STORE": "true"})


@pytest.mark.parametrize("uri", ["sqlite://mlflow.db", "sqlite:mlflow.db", "sqlite+pysqlite://", "sqlite:///"])
def test_an_address_with_too_few_slashes_is_refused_before_a_job_meets_it(uri: str) -> None:
    with pytest.raises(ConfigError, match="not complete") as caught:
        check_store(uri, {})
    assert "sqlite:///mlflow.db" in str(caught.value.hint)


def test_a_database_whose_driver_is_missing_is_told_with_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg2", None)
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(ConfigError, match="psycopg") as caught:
        open_client("postgresql://walker:hunter2@127.0.0.1:9/runs")
    assert "pip install psycopg" in str(caught.value.hint)
    assert "hunter2" not in str(caught.value.as_dict())


@pytest.mark.parametrize("uri", ["sqlite:///a.db", "http://h:1", "azureml://x", "databricks", "postgresql://u@h/db"])
def test_other_stores_are_not(uri: str) -> None:
    check_store(uri, {})


def test_asking_a_workspace_moves_no_later_run_there(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """MLflow would set the variable by which a user names a store, for this process and those that it starts."""
    monkeypatch.setattr("mlflow.tracking.MlflowClient", lambda **_: None)  # the plug-in asks Azure when it is made
    try:
        open_client("azureml://eastus.api.azureml.ms/mlflow/v1.0/x")
        assert tracking_uri_for(RunContext()) == store_uri(home)
    finally:
        mlflow.set_tracking_uri("")
        monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


INTERRUPTED = """
import os, sqlite3, sys
database = sqlite3.connect(sys.argv[1], isolation_level=None)
database.execute("PRAGMA cache_size = 1")
database.execute("BEGIN IMMEDIATE")
insert = "INSERT INTO experiments (experiment_id, name, workspace) VALUES (?, ?, 'default')"
for number in range(2000):
    database.execute(insert, (1000 + number, f"e{number}"))
os.kill(os.getpid(), 9)
"""


def test_a_store_whose_writer_was_killed_is_rolled_back_and_not_called_damaged(home: Path) -> None:
    uri = ensure_store(home)
    subprocess.run([sys.executable, "-c", INTERRUPTED, str(home / "mlflow.db")], check=False)
    assert (home / "mlflow.db-journal").exists(), "a transaction was cut off"
    assert ensure_store(home) == uri
    assert [found.name for found in open_client(uri).search_experiments()] == ["Default"]
