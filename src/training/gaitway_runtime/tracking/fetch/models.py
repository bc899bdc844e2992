"""Checkpoints in the model registry: ``models:/<name>/<version>``, ``models:/<name>@<alias>``."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, ClassVar

from ...errors import UsageError
from ..hashing import SHA256_TAG, VERSION_SHA256_TAG
from .artifacts import ArtifactFolder
from .asking import TrackingServer
from .base import Located, Order, clean_path
from .runs import known_sha256

_NAME = r"[^/@:\x00-\x1f\x7f'\"]{1,255}"


@dataclass(frozen=True)
class ModelsAddress:
    """A registered model version by number, by alias or as the latest, and a path below it (mostly none)."""

    name: str
    version: str | None
    """A number or ``latest``; None if an alias is given."""
    alias: str | None
    path: str

    form: ClassVar[str] = "models:/<name>/<version or latest> or models:/<name>@<alias>"

    @classmethod
    def parse(cls, text: str) -> ModelsAddress | None:
        """See :meth:`~.base.Address.parse`."""
        if not text.lower().startswith("models:"):
            return None
        pattern = rf"models:/({_NAME})(?:/(\d{{1,18}}|latest)|@([\w.-]{{1,255}}))(?:/(.*))?"
        found = re.fullmatch(pattern, text, re.IGNORECASE | re.ASCII)
        if not found:
            raise UsageError(
                "this is no address in the model registry",
                source=text,
                allowed=cls.form,
                hint="stages (Production, Staging) are gone from MLflow; aliases took their place",
            )
        version = found[2].lower() if found[2] else None
        return cls(found[1], version, found[3], clean_path(found[4] or "", text))

    def locate(self, order: Order) -> Located:
        """See :meth:`~.base.Address.locate`."""
        server = TrackingServer.of(order.context, order.limits)
        version = self._version(server)
        shown = f"models:/{self.name}/{version.version}"
        question = functools.partial(server.client.get_model_version_download_uri, self.name, version.version)
        source = server.ask(question, shown).rstrip("/")
        run = _run_of(server, version)
        root, base = _split(source, run.info.artifact_uri if run else "")
        folder = ArtifactFolder(root, base, server, shown)
        path, note = folder.choose(self.path)
        tags = {**(run.data.tags if run else {}), **_own_hash(version, path)}
        return Located(
            resolved_uri=folder.address_of(path),
            name=path,
            source=folder.source(path),
            sha256=known_sha256(folder, path, tags),
            run_id=version.run_id or None,
            note=note if self.version not in (None, "latest") else f"{self} is version {version.version}",
        )

    def __str__(self) -> str:
        """Return the address without a path."""
        return f"models:/{self.name}" + (f"@{self.alias}" if self.alias else f"/{self.version}")

    def _version(self, server: TrackingServer) -> Any:
        client = server.client
        if self.alias:
            question = functools.partial(client.get_model_version_by_alias, self.name, self.alias)
        elif self.version != "latest":
            question = functools.partial(client.get_model_version, self.name, self.version)
        else:
            return self._newest(server)
        return server.ask(question, str(self))

    def _newest(self, server: TrackingServer) -> Any:
        versions = server.ask(lambda: list(server.client.search_model_versions(f"name='{self.name}'")), str(self))
        if not versions:
            raise UsageError(f"there is no registered model {self.name}", source=str(self))
        return max(versions, key=lambda version: int(version.version))


def _run_of(server: TrackingServer, version: Any) -> Any:
    """Return the run that made a version, or None: a model may outlive its run."""
    if not version.run_id:
        return None
    return server.ask(lambda: server.client.get_run(version.run_id), f"runs:/{version.run_id}", missing=lambda: None)


def _split(source: str, artifacts: str) -> tuple[str, str]:
    """Return a version's source as a root and a path below it.

    The root is the run's, or else the parent, never the source itself: a version may be registered on a single
    file, for which MLflow would report success and hand over an empty folder.
    """
    if artifacts and source.startswith(f"{artifacts.rstrip('/')}/"):
        return artifacts, source.removeprefix(artifacts.rstrip("/")).strip("/")
    parent, _, last = source.rpartition("/")
    return parent, last


def _own_hash(version: Any, path: str) -> dict[str, str]:
    """Return the hash that a version carries itself, in the form of a run's tag."""
    found = version.tags.get(VERSION_SHA256_TAG)
    return {SHA256_TAG + PurePosixPath(path).stem: found} if found else {}
