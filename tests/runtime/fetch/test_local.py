"""Checkpoints on this machine."""

import hashlib
import os
import zipfile
from pathlib import Path

import pytest
from gaitway_runtime.fetch import fetch
from gaitway_runtime.spec.checkpoint_files import sha256_of
from gaitway_runtime.spec.errors import PlatformError, UsageError
from gaitway_runtime.stores.streams import StreamLimits
from gaitway_runtime.tracking.attempts import ArtifactManifest, Listed

WEIGHTS = b"weights" * 100


def save(path: Path, content: bytes = b"weights") -> Path:
    """Write a file of the kind that torch.save writes: a zip archive."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("data.pkl", content)
    return path


def test_a_file_stays_where_it_is(tmp_path: Path) -> None:
    path = save(tmp_path / "a b" / "model_30.pt")
    found = fetch(path.as_uri(), tmp_path / "into")
    assert found.path == path
    assert found.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert found.iteration == 30
    assert not (tmp_path / "into").exists()


@pytest.mark.parametrize("inside", ["", "checkpoints", "outputs/checkpoints"])
def test_a_folder_stands_for_its_newest_checkpoint_and_says_so(tmp_path: Path, inside: str) -> None:
    for name in ("model_9.pt", "model_100.pt", "model_20.pt", "best_agent.pt"):
        save(tmp_path / inside / name)
    os.utime(tmp_path / inside / "model_9.pt", (2e9, 2e9))
    found = fetch(str(tmp_path), tmp_path)
    assert found.path == tmp_path / inside / "model_100.pt"
    assert found.note == f"model_100.pt is the newest of 3 checkpoints in {tmp_path / inside}".rstrip("/")


def test_half_a_checkpoint_is_not_the_newest(tmp_path: Path) -> None:
    """What a process leaves behind that is killed while saving."""
    save(tmp_path / "model_10.pt")
    whole = save(tmp_path / "model_20.pt", os.urandom(5000)).read_bytes()
    (tmp_path / "model_20.pt").write_bytes(whole[:2000])
    (tmp_path / "model_30.pt").write_bytes(b"")
    (tmp_path / "model_40.pt.part").write_bytes(whole)
    assert fetch(str(tmp_path), tmp_path).iteration == 10


def test_several_without_a_number_are_not_guessed_among(tmp_path: Path) -> None:
    save(tmp_path / "best_agent.pt")
    assert fetch(str(tmp_path), tmp_path).path.name == "best_agent.pt"
    save(tmp_path / "policy.pt")
    with pytest.raises(UsageError, match="none is the newest") as caught:
        fetch(str(tmp_path), tmp_path)
    assert caught.value.allowed == "best_agent.pt, policy.pt"


@pytest.mark.parametrize("text", ["nothing.pt", "folder", "x" * 300])
def test_what_is_not_there_is_said(tmp_path: Path, text: str) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(UsageError):
        fetch(str(tmp_path / text), tmp_path)


def test_a_sidecar_and_an_expected_hash_are_checked(tmp_path: Path, limits: StreamLimits) -> None:
    path = save(tmp_path / "model_1.pt")
    with pytest.raises(PlatformError, match="promised"):
        fetch(str(path), tmp_path, expected_sha256="0" * 64)
    (tmp_path / "model_1.pt.sha256").write_text("0" * 64 + "  model_1.pt\n")
    with pytest.raises(PlatformError, match="promised"):
        fetch(str(path), tmp_path)


def flip(path: Path) -> None:
    """Flip a bit in the middle of the first part."""
    content = bytearray(path.read_bytes())
    content[content.index(b"weights") + 300] ^= 0x40
    path.write_bytes(bytes(content))


def test_a_flipped_bit_is_no_checkpoint(tmp_path: Path) -> None:
    path = save(tmp_path / "model_9.pt", WEIGHTS)
    assert fetch(str(path), tmp_path).path == path
    flip(path)
    with pytest.raises(PlatformError, match=r"is damaged: the checksum of its part 'data\.pkl' is wrong"):
        fetch(str(path), tmp_path)


def test_a_folder_stands_for_its_newest_checkpoint_that_is_not_damaged(tmp_path: Path) -> None:
    save(tmp_path / "model_9.pt", WEIGHTS)
    flip(save(tmp_path / "model_19.pt", WEIGHTS))
    found = fetch(str(tmp_path), tmp_path)
    assert found.path.name == "model_9.pt"
    assert "model_19.pt" in found.note


def test_a_runs_checkpoint_is_compared_with_the_runs_manifest(tmp_path: Path) -> None:
    path = save(tmp_path / "outputs" / "checkpoints" / "model_9.pt")
    listed = Listed(sha256_of(path), path.stat().st_size, 9)
    ArtifactManifest(tmp_path / "outputs", "an-attempt", numbered=False).add("checkpoints/model_9.pt", listed)
    assert fetch(str(path), tmp_path).sha256 == listed.sha256
    save(path, b"other")
    with pytest.raises(PlatformError, match="SHA-256 differs"):
        fetch(str(path), tmp_path)
