"""Checkpoints in Azure Blob Storage, on Azurite over TLS, under their real host name."""

from __future__ import annotations

import hashlib
import logging
import os
import random
import sys
import traceback
from pathlib import Path

import pytest
from fakes.azurite import HOST, Azurite, entra_token
from fakes.proxy import Proxy
from gaitway_runtime.fetch import blob, fetch
from gaitway_runtime.spec.errors import ConfigError, GaitwayError, PlatformError, UsageError
from gaitway_runtime.stores.streams import StreamLimits

CONTENT = os.urandom(200_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def no_identity(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "azure.identity", None)
    monkeypatch.setitem(sys.modules, "azure.core.exceptions", None)


@pytest.fixture
def identity(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand in for azure-identity, which would ask Entra ID: a token of the form that Azurite takes."""
    monkeypatch.setattr(blob, "azure_token", lambda scope: entra_token())


def test_a_blob_is_fetched_with_the_signature_in_its_url(
    azurite: Azurite, tmp_path: Path, limits: StreamLimits
) -> None:
    url = azurite.put("azureml/checkpoints/model_7.pt", CONTENT)
    found = fetch(f"{url}?{azurite.sas('r')}", tmp_path, limits=limits)
    assert found.path.read_bytes() == CONTENT
    assert (found.uri, found.resolved_uri, found.iteration) == (url, url, 7)


def test_a_blob_is_fetched_with_entra_id(
    azurite: Azurite, identity: None, tmp_path: Path, limits: StreamLimits
) -> None:
    url = azurite.put("azureml/checkpoints/model_8.pt", CONTENT)
    assert fetch(url, tmp_path, limits=limits).sha256 == SHA256


def test_without_signature_and_identity_the_error_names_both(
    azurite: Azurite, no_identity: None, tmp_path: Path, limits: StreamLimits
) -> None:
    url = azurite.put("azureml/checkpoints/model_9.pt", CONTENT)
    with pytest.raises(ConfigError, match="needs a package that is not installed: azure-identity") as caught:
        fetch(url, tmp_path, limits=limits)
    assert "[azureml]" in str(caught.value.hint)


def test_a_blob_that_is_open_to_everyone_needs_no_identity(
    azurite: Azurite, no_identity: None, tmp_path: Path, limits: StreamLimits
) -> None:
    url = azurite.put("open/model_9.pt", CONTENT, public=True)
    assert fetch(url, tmp_path, limits=limits).sha256 == SHA256


@pytest.mark.parametrize("path", ["folders/train", "folders/train/", "folders/train/checkpoints/"])
def test_a_folder_of_blobs_stands_for_its_newest_checkpoint(
    azurite: Azurite, tmp_path: Path, limits: StreamLimits, path: str
) -> None:
    for name in ("model_9.pt", "model_100.pt", "notes.txt", "older/model_500.pt", "model 7.pt"):
        azurite.put(f"folders/train/checkpoints/{name}", name.encode())
    found = fetch(f"https://{HOST}/{path}?{azurite.sas()}", tmp_path, limits=limits)
    assert found.path.read_bytes() == b"model_100.pt"
    assert found.note == f"model_100.pt is the newest of 3 checkpoints in https://{HOST}/folders/train/checkpoints"
    assert found.resolved_uri == f"https://{HOST}/folders/train/checkpoints/model_100.pt"


def test_a_name_with_a_space_works_when_it_is_written_as_in_a_url(
    azurite: Azurite, tmp_path: Path, limits: StreamLimits
) -> None:
    url = azurite.put("folders/a b/model 7.pt", CONTENT)
    assert "%20" in url
    assert fetch(f"{url}?{azurite.sas('r')}", tmp_path, limits=limits).sha256 == SHA256


def test_what_is_not_there_is_said(azurite: Azurite, tmp_path: Path, limits: StreamLimits) -> None:
    azurite.put("azureml/x", b"")
    for permissions, hint in (("rl", "None"), ("r", "permission to list")):
        with pytest.raises(UsageError, match="no blob and no folder") as caught:
            fetch(f"https://{HOST}/azureml/nowhere/model.pt?{azurite.sas(permissions)}", tmp_path, limits=limits)
        assert hint in str(caught.value.hint)


def test_the_hash_in_a_blobs_metadata_or_sidecar_is_checked(
    azurite: Azurite, tmp_path: Path, limits: StreamLimits
) -> None:
    right = azurite.put("hashed/model_1.pt", CONTENT, metadata={"sha256": SHA256})
    wrong = azurite.put("hashed/model_2.pt", CONTENT, metadata={"sha256": "0" * 64})
    beside = azurite.put("hashed/model_3.pt", CONTENT)
    azurite.put("hashed/model_3.pt.sha256", b"0" * 64 + b"  model_3.pt\n")
    assert fetch(f"{right}?{azurite.sas()}", tmp_path / "a", limits=limits).sha256 == SHA256
    for url in (wrong, beside):
        with pytest.raises(PlatformError, match="promised"):
            fetch(f"{url}?{azurite.sas()}", tmp_path / "b", limits=limits)


@pytest.mark.parametrize("hours", [-1.0, 1.0], ids=["expired", "forged"])
def test_a_refused_signature_is_an_error_that_does_not_show_it(
    azurite: Azurite, tmp_path: Path, limits: StreamLimits, hours: float, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    url = azurite.put("azureml/checkpoints/model_7.pt", CONTENT)
    access = azurite.sas("r", hours) if hours < 0 else azurite.sas("r")[:-12] + "AAAAAAAA%3D"
    with pytest.raises(ConfigError, match="not allowed") as caught:
        fetch(f"{url}?{access}", tmp_path, limits=limits)
    signature = access.partition("sig=")[2]
    written = "".join(traceback.format_exception(caught.value)) + caplog.text + "\n".join(caught.value.lines())
    assert signature[:12] not in written
    assert url in written


def test_a_blob_that_changes_meanwhile_is_fetched_anew(
    azurite: Azurite, proxy: Proxy, tmp_path: Path, limits: StreamLimits
) -> None:
    """Azurite ignores If-Range and would let two contents be glued together; If-Match it honours."""
    other = os.urandom(3_000_000)
    url = azurite.put("azureml/checkpoints/model_6.pt", os.urandom(3_000_000))

    original = proxy.port_for
    seen: list[str] = []

    def replacing(host: str) -> int | None:
        seen.append(host)
        if len(seen) == 4:
            azurite.put("azureml/checkpoints/model_6.pt", other)
        return original(host)

    proxy.port_for = replacing  # type: ignore[method-assign]
    proxy.cuts.extend([10**9, 10**9, 1_500_000])
    found = fetch(f"{url}?{azurite.sas('r')}", tmp_path, limits=limits)
    assert found.path.read_bytes() == other
    assert len(seen) >= 5, "the resumed request was turned away"


def test_two_hundred_megabytes_cut_at_three_random_places_arrive_whole(
    azurite: Azurite, proxy: Proxy, tmp_path: Path, limits: StreamLimits
) -> None:
    block = os.urandom(2**20)
    content = b"".join(index.to_bytes(4, "big") + block[4:] for index in range(200))
    url = azurite.put("azureml/checkpoints/model_200.pt", content)
    seed = random.randrange(2**32)
    draw = random.Random(seed)
    # the first two connections ask for the blob and for a sidecar; the next three are cut somewhere on the way
    proxy.cuts.extend([10**9, 10**9, *(draw.randrange(1, 60 * 2**20) for _ in range(3))])
    found = fetch(f"{url}?{azurite.sas('r')}", tmp_path, limits=limits)
    assert found.sha256 == hashlib.sha256(content).hexdigest(), f"seed {seed}"
    assert found.size == 200 * 2**20
    assert len(proxy.connected) == 6, "two questions and four pieces"
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["model_200.pt"]


def test_a_storage_account_that_is_away_is_a_platforms_failure(
    azurite: Azurite, proxy: Proxy, tmp_path: Path, limits: StreamLimits
) -> None:
    proxy.routes.clear()
    with pytest.raises(GaitwayError) as caught:
        fetch(f"https://{HOST}/c/model.pt?{azurite.sas()}", tmp_path, limits=limits)
    assert caught.value.exit_code == 4
