"""Object storage and datasets of the stand-in, in a folder."""

from __future__ import annotations

import json
import re
import shutil
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from .errors import OsmoError


class Storage:
    """Objects by URI: ``s3://bucket/key`` lies in ``<root>/s3/bucket/key``."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.uploads: list[str] = []
        """URI of every object that was ever written, in order."""
        self.denied: set[str] = set()
        """Schemes and buckets (``s3://private``) that no credential opens."""

    def path(self, uri: str) -> Path:
        scheme, _, rest = uri.partition("://")
        path = (self.root / scheme / rest).resolve()
        if self.root.resolve() not in path.parents:
            raise OsmoError("USER", f"Invalid URI: {uri}")
        return path

    def check(self, uri: str) -> None:
        if any(uri.startswith(prefix) for prefix in self.denied):
            raise OsmoError("CREDENTIAL", f"Data key validation error: access_key_id for {uri} is not valid")

    def put(self, uri: str, content: bytes) -> None:
        self.check(uri)
        path = self.path(uri)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        self.uploads.append(uri)

    def keys(self, uri: str) -> list[str]:
        """Keys of the objects at or below a URI (below its bucket's name)."""
        self.check(uri)
        bucket = self.path("/".join(uri.split("/")[:3]))
        base = self.path(uri)
        found = [base] if base.is_file() else sorted(path for path in base.rglob("*") if path.is_file())
        return [path.relative_to(bucket).as_posix() for path in found]

    def list(self, uri: str, prefix: str, recursive: bool) -> list[str]:
        """Keys as ``osmo data list`` prints them: a URI is a folder, whatever its name, so that of a file has nothing.

        Args:
            uri: The folder.
            prefix: A file or folder in it, the only one that is listed.
            recursive: Whether keys below folders are listed; else each folder is one entry that ends with a slash.
        """
        folder = uri.rstrip("/") + "/"
        if prefix and self.path(folder + prefix).is_file():
            return self.keys(folder + prefix)
        if not prefix and self.path(uri).is_file():
            return []
        below = self.keys(folder + prefix)
        if recursive:
            return below
        depth = len(self.path(folder + prefix).relative_to(self.path("/".join(uri.split("/")[:3]))).parts)
        cut = ["/".join(key.split("/")[: depth + 1]) + "/" * (len(key.split("/")) > depth + 1) for key in below]
        return list_of_unique(cut)

    def download(self, uri: str, into: Path, regex: str = "") -> None:
        """Copy objects: those of a folder by their path in it, a single one by its name. Nothing there is no error."""
        self.check(uri)
        source = self.path(uri)
        into.mkdir(parents=True, exist_ok=True)
        files = [source] if source.is_file() else sorted(path for path in source.rglob("*") if path.is_file())
        for path in files:
            name = path.name if path == source else path.relative_to(source).as_posix()
            if not regex or re.match(regex, name):
                (into / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, into / name)

    def upload_folder(self, folder: Path, uri: str, *, keep_name: bool, regex: str = "") -> None:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                base = folder.resolve().parent if keep_name else folder.resolve()
                key = path.resolve().relative_to(base).as_posix()
                if regex and not re.match(regex, key):
                    continue
                self.put(f"{uri.rstrip('/')}/{key}", path.read_bytes())


def list_of_unique(items: Iterable[str]) -> list[str]:
    return [*dict.fromkeys(items)]


class Datasets:
    """Versioned folders by ``bucket/name``; gone from release 6.4 on."""

    def __init__(self, root: Path, buckets: tuple[str, ...] = ("training",)) -> None:
        self.root = root
        self.buckets = set(buckets)
        self._records: dict[str, list[dict[str, Any]]] = {}
        self._lock = threading.Lock()

    def start(self, bucket: str, name: str) -> str:
        """Open a new version."""
        self._known(bucket)
        with self._lock:
            versions = self._records.setdefault(f"{bucket}/{name}", [])
            version = str(len(versions) + 1)
            versions.append({"version": version, "tags": [], "status": "PENDING", "created_by": "tester"})
            return version

    def put(self, bucket: str, name: str, version: str, path: str, content: bytes) -> None:
        target = self.folder(bucket, name, version) / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)

    def finish(self, bucket: str, name: str, version: str) -> None:
        for record in self._records[f"{bucket}/{name}"]:
            record["tags"] = [tag for tag in record["tags"] if tag != "latest"]
            if record["version"] == version:
                record |= {"status": "READY", "tags": ["latest"]}

    def info(self, bucket: str, name: str, tag: str = "") -> dict[str, Any]:
        self._known(bucket)
        key = f"{bucket}/{name}"
        if key not in self._records:
            raise OsmoError("DATABASE", f"Dataset {name} does not exist in bucket {bucket}.")
        versions = [record for record in self._records[key] if not tag or tag in (record["version"], *record["tags"])]
        if tag and not versions:
            raise OsmoError("DATABASE", f"Tag {tag} does not exist for dataset {name} in bucket {bucket}.")
        return {"name": name, "bucket": bucket, "type": "DATASET", "id": name, "labels": {}, "versions": versions}

    def tag(self, bucket: str, name: str, which: str, add: list[str]) -> dict[str, Any]:
        for record in self._records.get(f"{bucket}/{name}", []):
            record["tags"] = [tag for tag in record["tags"] if tag not in add]
        record = self.info(bucket, name, which or "latest")["versions"][0]
        record["tags"] += add
        return {"version_id": record["version"], "tags": record["tags"]}

    def folder(self, bucket: str, name: str, version: str) -> Path:
        return self.root / bucket / name / version

    def resolve(self, text: str) -> tuple[str, str, str]:
        """Return bucket, name and version of ``bucket/name[:tag or version]``."""
        match = re.fullmatch(r"(?:([\w.-]+)/)?([\w.-]+)(?::([\w.-]+))?", text)
        if not match:
            raise OsmoError("USAGE", f"Invalid name: {text}")
        bucket, name, tag = match.group(1) or "training", match.group(2), match.group(3) or "latest"
        return bucket, name, self.info(bucket, name, tag)["versions"][-1]["version"]

    def dump(self) -> str:
        return json.dumps(self._records)

    def _known(self, bucket: str) -> None:
        if bucket not in self.buckets:
            raise OsmoError("SERVER", f"Bucket {bucket} does not exist.")
