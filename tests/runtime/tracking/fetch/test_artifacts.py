"""Artifact stores that only a plug-in of MLflow's can read, with the oddities of the one for Azure ML."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from gaitway_runtime.errors import GaitwayError, PlatformError
from gaitway_runtime.job import RunContext
from gaitway_runtime.tracking.fetch.artifacts import ArtifactFolder
from gaitway_runtime.tracking.fetch.asking import TrackingServer
from gaitway_runtime.tracking.fetch.base import Limits
from gaitway_runtime.tracking.fetch.transfer import transfer
from gaitway_runtime.tracking.store import ensure_store
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
def folder(home: Path, limits: Limits, monkeypatch: pytest.MonkeyPatch) -> ArtifactFolder:
    registry = artifact_repository_registry._artifact_repository_registry
    monkeypatch.setitem(registry._registry, "plugin", PluginRepository)
    monkeypatch.setattr(PluginRepository, "failures", [])
    server = TrackingServer.of(RunContext(tracking_uri=ensure_store(home)), limits)
    return ArtifactFolder("plugin://somewhere/artifacts", "", server, "runs:/r1")


def fetched(folder: ArtifactFolder, into: Path, limits: Limits) -> str:
    path, _ = folder.choose("checkpoints")
    return transfer(folder.source(path), into / "model.pt", limits, "runs:/r1").sha256


def test_a_folder_is_told_from_its_namesakes(folder: ArtifactFolder, tmp_path: Path, limits: Limits) -> None:
    assert fetched(folder, tmp_path, limits) == hashlib.sha256(b"ten").hexdigest()


def test_a_plug_ins_passing_trouble_is_sat_out(folder: ArtifactFolder, tmp_path: Path, limits: Limits) -> None:
    PluginRepository.failures = [ConnectionResetError("peer")] * 2
    assert fetched(folder, tmp_path, limits) == hashlib.sha256(b"ten").hexdigest()


def test_success_without_a_file_is_not_believed(
    folder: ArtifactFolder, tmp_path: Path, limits: Limits, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PluginRepository, "downloads_nothing", True)
    with pytest.raises(PlatformError, match="no file"):
        fetched(folder, tmp_path, limits)
    assert not [path for path in tmp_path.iterdir() if path.is_file()]


def test_a_listing_that_leads_out_is_refused(folder: ArtifactFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(FILES, "checkpoints/../../model_1.pt", b"evil")
    with pytest.raises(GaitwayError):
        folder.choose("checkpoints")
