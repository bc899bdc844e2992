"""Run artifacts as a workspace keeps them: write-once, and a record that exists before its blob."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

from .storage import Storage

CONTAINER = "azureml"


class Artifacts:
    """Records of artifacts by run; the blobs are in the storage account.

    A second upload of a path answers 200 with the conflict inside ``errors`` (lightly-train issue 256). The record is
    made first and the blob afterwards, by the client: a client that dies in between leaves a record without a blob.
    """

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._records: dict[str, list[str]] = {}
        self._lock = threading.Lock()
        self.on_record: Callable[[str, str], None] = lambda run, path: None
        """Called with run and path of each new record, before the client learns of it."""
        self.conflicts: list[tuple[str, str]] = []
        storage.make_container(CONTAINER)

    def paths(self, run: str) -> list[str]:
        """Return the recorded paths of a run, with or without a blob."""
        return sorted(self._records.get(run, []))

    def create(self, run: str, paths: Sequence[str]) -> dict[str, Any]:
        """Return the service's answer to a batch of new artifacts."""
        made, errors = [], {}
        for path in paths:
            with self._lock:
                records = self._records.setdefault(run, [])
                taken = path in records
                if not taken:
                    records.append(path)
            if taken:
                self.conflicts.append((run, path))
                said = f"Resource Conflict: ArtifactId ExperimentRun/dcid.{run}/{path} already exists."
                errors[path] = {"error": {"code": "UserError", "message": said}}
            else:
                made.append(path)
                self.on_record(run, path)
        return {
            "artifacts": {path: self.describe(run, path) for path in made},
            "artifactContentInformation": {path: self.content_info(run, path) for path in made},
            "errors": errors,
        }

    def describe(self, run: str, path: str) -> dict[str, Any]:
        container = f"dcid.{run}"
        return {
            "artifactId": f"ExperimentRun/{container}/{path}",
            "origin": "ExperimentRun",
            "container": container,
            "path": path,
        }

    def content_info(self, run: str, path: str) -> dict[str, Any]:
        address = self._storage.address(CONTAINER, _blob(run, path))
        return {
            "contentUri": self._storage.signed(address),
            "origin": "ExperimentRun",
            "container": f"dcid.{run}",
            "path": path,
        }

    def put(self, run: str, path: str, content: bytes) -> str:
        """Write an artifact as the platform itself does, a log for example; return an address that opens it."""
        with self._lock:
            records = self._records.setdefault(run, [])
            if path not in records:
                records.append(path)
        return self._storage.put(CONTAINER, _blob(run, path), content)

    def has_blob(self, run: str, path: str) -> bool:
        return _blob(run, path) in self._storage.list(CONTAINER, _blob(run, path))

    def read(self, run: str, path: str) -> bytes:
        return self._storage.get(CONTAINER, _blob(run, path))


def _blob(run: str, path: str) -> str:
    return f"ExperimentRun/dcid.{run}/{path}"
