"""Checkpoints among the artifacts of an MLflow run: ``runs:/<run id>/<path>``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import ClassVar

from ...errors import GaitwayError, UsageError
from ..hashing import SHA256_TAG
from .artifacts import ArtifactFolder
from .asking import TrackingServer
from .base import Changed, Located, Order, Transient, clean_path
from .local import read_sidecar


@dataclass(frozen=True)
class RunsAddress:
    """A file or folder among a run's artifacts; an empty path stands for all of them."""

    run_id: str
    path: str

    form: ClassVar[str] = "runs:/<run id>/<path>"

    @classmethod
    def parse(cls, text: str) -> RunsAddress | None:
        """See :meth:`~.base.Address.parse`."""
        if not text.lower().startswith("runs:"):
            return None
        found = re.fullmatch(r"runs:/([A-Za-z0-9][\w.-]{0,255})(?:/(.*))?", text, re.IGNORECASE | re.ASCII)
        if not found:
            raise UsageError("this is no address in an MLflow run", source=text, allowed=cls.form)
        return cls(found[1], clean_path(found[2] or "", text))

    def locate(self, order: Order) -> Located:
        """See :meth:`~.base.Address.locate`."""
        server = TrackingServer.of(order.context, order.limits)
        shown = f"runs:/{self.run_id}"
        run = server.ask(lambda: server.client.get_run(self.run_id), shown)
        folder = ArtifactFolder(run.info.artifact_uri, "", server, shown)
        path, note = folder.choose(self.path)
        return Located(
            resolved_uri=f"{shown}/{path}",
            name=path,
            source=folder.source(path),
            sha256=known_sha256(folder, path, run.data.tags),
            run_id=self.run_id,
            note=note,
        )


def known_sha256(folder: ArtifactFolder, path: str, tags: Mapping[str, str]) -> str | None:
    """Return a checkpoint's hash from its run's tags, else from a sidecar beside it, else None."""
    tagged = tags.get(SHA256_TAG + PurePosixPath(path).stem, "")
    if re.fullmatch(r"[0-9a-f]{64}", tagged):
        return tagged
    sidecar = f"{path}.sha256"
    if all(entry.path != sidecar for entry in folder.entries(path.rpartition("/")[0])):
        return None
    try:
        with folder.source(sidecar).open(0, None) as stream:
            return read_sidecar(next(stream.chunks, b"")[:200])
    except (Transient, Changed, GaitwayError):
        return None
