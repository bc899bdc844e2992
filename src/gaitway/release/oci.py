"""Releases as OCI artifacts: in a registry, or in an image layout on disk."""

from __future__ import annotations

import hashlib
import json
import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gaitway_runtime.spec.files import replacing
from gaitway_runtime.spec.packages import missing_package
from gaitway_runtime.spec.types import Json

from ..errors import PlatformError, UsageError
from ..signatures import manifest as manifests
from ..signatures.manifest import Manifest

if TYPE_CHECKING:
    import requests

ARTIFACT_TYPE = "application/vnd.gaitway.release.v1+json"
MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
INDEX_TYPE = "application/vnd.oci.image.index.v1+json"
EMPTY_TYPE = "application/vnd.oci.empty.v1+json"
BLOB_TYPE = "application/octet-stream"
"""Media types of the OCI image specification 1.1."""

REFERENCE = re.compile(r"oci://(?P<place>.+?)(:(?P<tag>[A-Za-z0-9_][A-Za-z0-9._-]{0,127}))?")


@dataclass(frozen=True)
class Pushed:
    """Where a release was pushed to."""

    reference: str
    digest: str
    """Digest of the artifact's manifest."""


def push(folder: Path, contents: Manifest, reference: str) -> Pushed:
    """Push a release folder.

    Args:
        folder: The release.
        contents: Its manifest.
        reference: ``oci://HOST/REPOSITORY:TAG``, or ``oci:///PATH:TAG`` for an image layout on disk.

    Raises:
        UsageError: The reference cannot be read.
        PlatformError: The registry refused, or the layout cannot be written.
    """
    found = REFERENCE.fullmatch(reference)
    if not found or found["place"].endswith("/"):
        raise UsageError(
            f"'{reference}' is no OCI reference",
            source="--push",
            allowed="oci://HOST/REPOSITORY:TAG, or oci:///PATH:TAG for a layout on disk",
        )
    tag = found["tag"] or "latest"
    if found["place"].startswith("/"):
        return Pushed(reference, _push_layout(folder, contents, Path(found["place"]), tag))
    return Pushed(reference, _push_registry(folder, contents, f"{found['place']}:{tag}"))


def artifact(folder: Path, contents: Manifest) -> tuple[bytes, dict[str, Path | bytes]]:
    """Return an artifact's manifest and its blobs by digest; the same folder gives the same bytes."""
    names = [file.path for file in contents.files] + [manifests.MANIFEST_FILE]
    if (folder / manifests.SIGNATURE_FILE).is_file():
        names.append(manifests.SIGNATURE_FILE)
    blobs: dict[str, Path | bytes] = {_digest(b"{}"): b"{}"}
    layers: list[Json] = []
    for name in sorted(names):
        content = (folder / name).read_bytes()
        blobs[_digest(content)] = folder / name
        layers.append(_descriptor(content, BLOB_TYPE, {"org.opencontainers.image.title": name}))
    document = {
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "artifactType": ARTIFACT_TYPE,
        "config": _descriptor(b"{}", EMPTY_TYPE),
        "layers": layers,
        "annotations": {
            "org.opencontainers.image.title": contents.name,
            "org.opencontainers.image.created": contents.created,
            "com.gaitway.checkpoint.sha256": contents.checkpoint_sha256,
        },
    }
    return json.dumps(document, indent=2, sort_keys=True).encode(), blobs


def _push_layout(folder: Path, contents: Manifest, layout: Path, tag: str) -> str:
    """Add a release to an OCI image layout, which is made if it is not there; return the manifest's digest."""
    content, blobs = artifact(folder, contents)
    digest = _digest(content)
    try:
        (layout / "blobs" / "sha256").mkdir(parents=True, exist_ok=True)
        for name, blob in {**blobs, digest: content}.items():
            _write(
                layout / "blobs" / "sha256" / name.partition(":")[2],
                blob if isinstance(blob, bytes) else blob.read_bytes(),
            )
        _write(layout / "oci-layout", b'{"imageLayoutVersion": "1.0.0"}')
        entry = {
            **_descriptor(content, MANIFEST_TYPE, {"org.opencontainers.image.ref.name": tag}),
            "artifactType": ARTIFACT_TYPE,
        }
        others = [found for found in _index(layout) if _ref_name(found) != tag]
        index = {"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": [*others, entry]}
        _write(layout / "index.json", json.dumps(index, indent=2).encode())
    except OSError as error:
        raise PlatformError(f"the layout cannot be written: {error.strerror}", source=str(layout)) from error
    return digest


def _index(layout: Path) -> list[dict[str, object]]:
    path = layout / "index.json"
    if not path.exists():
        return []
    try:
        found: list[dict[str, object]] = json.loads(path.read_text(encoding="utf-8"))["manifests"]
    except (ValueError, KeyError, TypeError):
        raise UsageError("the folder is no OCI image layout: its index cannot be read", source=str(path)) from None
    return found


def _ref_name(entry: Mapping[str, object]) -> object:
    annotations = entry.get("annotations")
    return annotations.get("org.opencontainers.image.ref.name") if isinstance(annotations, dict) else None


def _push_registry(folder: Path, contents: Manifest, target: str) -> str:
    """Push to a registry, with the login that ``docker`` or ``oras`` keeps; return the manifest's digest."""
    try:
        import oras.client
        from requests import RequestException
    except ModuleNotFoundError as error:
        raise missing_package("a push to a registry", error, "release") from None
    content, blobs = artifact(folder, contents)
    host = target.partition("/")[0]
    insecure = host.startswith(("localhost", "127.0.0.1", "[::1]"))
    client = oras.client.OrasClient(hostname=host, insecure=insecure)
    try:
        container = client.get_container(target)
        client.auth.load_configs(container)
        with tempfile.TemporaryDirectory(prefix="gaitway-") as scratch:
            for digest, blob in blobs.items():
                _check(client.upload_blob(_as_file(blob, Path(scratch)), container, {"digest": digest}))
        answer = _check(client.upload_manifest(json.loads(content), container))
    except (RequestException, ValueError, OSError) as error:
        raise PlatformError(f"the registry refused the release: {error}", source=f"oci://{target}") from error
    return str(answer.headers.get("Docker-Content-Digest") or _digest(content))


def _as_file(blob: Path | bytes, scratch: Path) -> str:
    if isinstance(blob, Path):
        return str(blob)
    path = scratch / "blob"
    path.write_bytes(blob)
    return str(path)


def _check(answer: requests.Response) -> requests.Response:
    answer.raise_for_status()
    return answer


def _descriptor(content: bytes, media_type: str, annotations: Mapping[str, str] | None = None) -> dict[str, Json]:
    found: dict[str, Json] = {"mediaType": media_type, "digest": _digest(content), "size": len(content)}
    return {**found, "annotations": dict(annotations)} if annotations else found


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _write(path: Path, content: bytes) -> None:
    with replacing(path) as partial:
        partial.write_bytes(content)
