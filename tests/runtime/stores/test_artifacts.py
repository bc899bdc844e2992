"""Artifact stores that only a plug-in of MLflow's can read, with the oddities of the one for Azure ML."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from gaitway_runtime.spec.errors import ConfigError, GaitwayError, PlatformError
from gaitway_runtime.spec.run_context import RunContext
from gaitway_runtime.stores import artifacts
from gaitway_runtime.stores.artifacts import ArtifactFolder
from gaitway_runtime.stores.streams import StreamLimits, UnreadableFile
from gaitway_runtime.stores.tracking_server import TrackingServer, ensure_store
from gaitway_runtime.stores.transfer import transfer
from mlflow.entities import FileInfo
from mlflow.store.artifact import artifact_repository_registry
from mlflow.store.artifact.artifact_repo import ArtifactRepository

FILES = {"checkpoints/model_9.pt": b"nine", "checkpoints/model_10.pt": b"ten", "checkpoints-old/model_99.pt": b"old"}


class PluginRepository(ArtifactRepository):
    """Lists by the beginning of names and without sizes, as Azure ML's plug-in does."""

    failures: list[Exception] = []  # noqa: RUF012 - what the next downloads meet
    downloads_nothing = False

    def log_artifact(self, local_file: str, artifact_path: str | None = None) -> None:
        raise NotImplementedError

    def log_artifacts(self, local_dir: str, artifact_path: str | None = None) -> None:
        raise NotImplementedError

    def list_artifacts(self, path: str | None = None) -> list[FileInfo]:
        depth = len(path.split("/")) if path else 0
        below = [name.split("/") for name in FILES if name.startswith(path or "") and name != path]
        return [FileInfo("/".join(parts[: depth + 1]), len(parts) > depth + 1, -1) for parts in below]

    def download_artifacts(self, artifact_path: str, dst_path: str | None = None) -> str:
        if self.failures:
            raise self.failures.pop()
        target = Path(str(dst_path)) / artifact_path
        target.parent.mkdir(parents=True)
        if self.downloads_nothing:
            target.mkdir()
        else:
            target.write_bytes(FILES[artifact_path])
        return str(target)


@pytest.fixture
def folder(home: Path, limits: StreamLimits, monkeypatch: pytest.MonkeyPatch) -> ArtifactFolder:
    registry = artifact_repository_registry._artifact_repository_registry
    monkeypatch.setitem(registry._registry, "plugin", PluginRepository)
    monkeypatch.setattr(PluginRepository, "failures", [])
    server = TrackingServer.of(RunContext(tracking_uri=ensure_store(home)), limits)
    return ArtifactFolder("plugin://somewhere/artifacts", "", server, "runs:/r1")


def fetched(folder: ArtifactFolder, into: Path, limits: StreamLimits) -> str:
    path, *_ = folder.choose("checkpoints").paths
    return transfer(folder.source(path), into / "model.pt", limits, "runs:/r1").sha256


def test_a_file_that_its_store_would_not_take_is_found_where_it_was_put(
    folder: ArtifactFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    placed = {f"attempts/{attempt}/checkpoints/model_10.pt": b"ten, whole" for attempt in ("20260101T1", "20260102T1")}
    monkeypatch.setitem(globals(), "FILES", {**FILES, **placed})
    assert folder.choose("checkpoints/model_10.pt").paths == ("checkpoints/model_10.pt",), "a store that replaces files"
    monkeypatch.setattr(artifacts, "WRITE_ONCE", ("plugin:",))
    ten = ("checkpoints/model_10.pt", *sorted(placed, reverse=True))
    assert folder.choose("checkpoints/model_10.pt").paths == ten
    assert folder.choose("checkpoints").paths == (*ten, "checkpoints/model_9.pt")


@pytest.mark.parametrize(
    ("root", "said", "hint"),
    [
        ("s3://ours/a", "needs a package that is not installed: boto3", "pip install boto3"),
        ("gs://ours/a", "needs a package that is not installed: google-cloud-storage", "pip install google-cloud-"),
        ("ftp://user:planted@ours/a", "artifacts on an FTP server are not supported", ""),
    ],
)
def test_a_store_that_cannot_be_used_from_here_is_named(
    root: str, said: str, hint: str, home: Path, limits: StreamLimits
) -> None:
    server = TrackingServer.of(RunContext(tracking_uri=ensure_store(home)), limits)
    with pytest.raises(ConfigError) as refused:
        ArtifactFolder(root, "checkpoints", server, "runs:/r1/checkpoints")
    text = "\n".join(refused.value.lines())
    assert said in text and hint in text and "runs:/r1/checkpoints" in text
    assert "planted" not in text


def test_a_folder_is_told_from_its_namesakes(folder: ArtifactFolder, tmp_path: Path, limits: StreamLimits) -> None:
    assert fetched(folder, tmp_path, limits) == hashlib.sha256(b"ten").hexdigest()


def test_a_plug_ins_passing_trouble_is_sat_out(folder: ArtifactFolder, tmp_path: Path, limits: StreamLimits) -> None:
    PluginRepository.failures = [ConnectionResetError("peer")] * 2
    assert fetched(folder, tmp_path, limits) == hashlib.sha256(b"ten").hexdigest()


def test_success_without_a_file_is_not_believed(
    folder: ArtifactFolder, tmp_path: Path, limits: StreamLimits, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PluginRepository, "downloads_nothing", True)
    with pytest.raises(PlatformError, match="no file"):
        fetched(folder, tmp_path, limits)
    assert not [path for path in tmp_path.iterdir() if path.is_file()]


def test_a_listing_that_leads_out_is_refused(folder: ArtifactFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(FILES, "checkpoints/../../model_1.pt", b"evil")
    with pytest.raises(GaitwayError):
        folder.choose("checkpoints")


class WriteOnceRepository(PluginRepository):
    """Keeps what it was given first; a record exists before its content does, as in Azure ML."""

    content: dict[str, bytes] = {}  # noqa: RUF012 - shared by the repositories of one test
    records: list[str] = []  # noqa: RUF012

    def log_artifact(self, local_file: str, artifact_path: str | None = None) -> None:
        path = "/".join(part for part in (artifact_path, Path(local_file).name) if part)
        if path in self.records:
            raise Exception(f"UserError: Resource Conflict: ArtifactId {path} already exists.")
        self.records.append(path)
        self.content[path] = Path(local_file).read_bytes()

    def list_artifacts(self, path: str | None = None) -> list[FileInfo]:
        if not path:
            return [FileInfo(folder, True, -1) for folder in dict.fromkeys(name.split("/")[0] for name in self.records)]
        return [FileInfo(name, False, -1) for name in self.records if name.rpartition("/")[0] == path]

    def download_artifacts(self, artifact_path: str, dst_path: str | None = None) -> str:
        if artifact_path not in self.content:
            raise Exception("File with path x was not found, available files include: .")
        target = Path(str(dst_path)) / artifact_path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(self.content[artifact_path])
        return str(target)


@pytest.fixture
def write_once(home: Path, limits: StreamLimits, monkeypatch: pytest.MonkeyPatch) -> ArtifactFolder:
    registry = artifact_repository_registry._artifact_repository_registry
    monkeypatch.setitem(registry._registry, "once", WriteOnceRepository)
    monkeypatch.setattr(WriteOnceRepository, "content", {})
    monkeypatch.setattr(WriteOnceRepository, "records", [])
    server = TrackingServer.of(RunContext(tracking_uri=ensure_store(home)), limits)
    return ArtifactFolder("once://somewhere/artifacts", "", server, "runs:/r1")


def test_what_a_write_once_store_has_already_is_there(write_once: ArtifactFolder, tmp_path: Path) -> None:
    (tmp_path / "model_9.pt").write_bytes(b"nine")
    for _ in range(2):
        assert write_once.publish(tmp_path / "model_9.pt", "checkpoints", "attempts/b") == "checkpoints/model_9.pt"
    assert WriteOnceRepository.records == ["checkpoints/model_9.pt"]


def test_another_content_under_a_name_that_is_taken_goes_aside(write_once: ArtifactFolder, tmp_path: Path) -> None:
    (tmp_path / "model_9.pt").write_bytes(b"nine")
    write_once.publish(tmp_path / "model_9.pt", "checkpoints", "attempts/a")
    (tmp_path / "model_9.pt").write_bytes(b"another")
    for _ in range(2):
        place = write_once.publish(tmp_path / "model_9.pt", "checkpoints", "attempts/b")
        assert place == "attempts/b/checkpoints/model_9.pt"
    assert WriteOnceRepository.content["checkpoints/model_9.pt"] == b"nine"


def test_a_record_without_content_is_passed_over(
    write_once: ArtifactFolder, tmp_path: Path, limits: StreamLimits
) -> None:
    """As a node that is taken away between the record and the upload leaves it."""
    (tmp_path / "model_9.pt").write_bytes(b"nine")
    write_once.publish(tmp_path / "model_9.pt", "checkpoints", "attempts/a")
    WriteOnceRepository.records.append("checkpoints/model_19.pt")
    newest, older = write_once.choose("checkpoints").paths
    assert newest == "checkpoints/model_19.pt"
    with pytest.raises(UnreadableFile, match="does not have it"):
        transfer(write_once.source(newest), tmp_path / "got.pt", limits, "runs:/r1")
    assert transfer(write_once.source(older), tmp_path / "got.pt", limits, "runs:/r1").size == 4
    (tmp_path / "model_19.pt").write_bytes(b"nineteen")
    place = write_once.publish(tmp_path / "model_19.pt", "checkpoints", "attempts/b")
    assert place == "attempts/b/checkpoints/model_19.pt"


@pytest.mark.parametrize("root", ["http://elsewhere.example/artifacts", "https://tracking.example:8443/artifacts"])
def test_credentials_go_to_no_other_host_than_the_tracking_server(
    root: str, limits: StreamLimits, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "me")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "secret-password")
    server = TrackingServer("https://tracking.example", limits)
    with pytest.raises(ConfigError, match="another host") as caught:
        ArtifactFolder(root, "", server, "runs:/r1")
    assert "secret-password" not in "\n".join(caught.value.lines())
    ArtifactFolder("https://tracking.example/artifacts", "", server, "runs:/r1")
    monkeypatch.delenv("MLFLOW_TRACKING_USERNAME")
    monkeypatch.delenv("MLFLOW_TRACKING_PASSWORD")
    ArtifactFolder(root, "", server, "runs:/r1")
