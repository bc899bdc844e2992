"""Folders of MLflow artifacts: a run's, or a model version's, wherever the server keeps them."""

from __future__ import annotations

import base64
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote, urlsplit

from ...errors import PlatformError, UsageError
from .asking import TrackingServer
from .base import Source, Stream, clean_path
from .http_source import HttpSource
from .local import FileSource
from .picking import SUBFOLDERS, newest

if TYPE_CHECKING:
    from mlflow.store.artifact.artifact_repo import ArtifactRepository


@dataclass(frozen=True)
class Entry:
    """One thing in an artifact folder."""

    path: str
    is_dir: bool
    size: int | None

    @property
    def name(self) -> str:
        """The last part of its path."""
        return self.path.rpartition("/")[2]


class ArtifactFolder:
    """A root of artifacts that can be listed and read.

    Args:
        uri: MLflow's artifact URI of the root.
        server: The tracking server that knows it.
        shown: The root's address as errors may show it.
    """

    def __init__(self, uri: str, server: TrackingServer, shown: str) -> None:
        from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

        self._server = server
        self._shown = shown
        self._root = _local_root(uri)
        self._repository: ArtifactRepository = server.ask(
            lambda: get_artifact_repository(uri, tracking_uri=server.uri), shown
        )

    def entries(self, path: str) -> list[Entry]:
        """Return what lies directly in a folder; nothing for a file or a folder that is not there.

        Raises:
            PlatformError: The server lists something that does not lie there.
        """
        listed = self._server.ask(lambda: self._repository.list_artifacts(path or None), self._shown, missing=list)
        entries = [Entry(item.path, bool(item.is_dir), item.file_size) for item in listed]
        for entry in entries:
            if _unsafe(entry.path) or entry.path.rpartition("/")[0] != path:
                raise PlatformError("the server lists a file outside of the folder", source=self._shown)
        return entries

    def choose(self, path: str) -> tuple[str, str]:
        """Return the path of the one file that ``path`` stands for, and a sentence if it was a choice.

        Raises:
            UsageError: There is no such file, or no checkpoint in the folder.
        """
        where = f"{self._shown}/{path}".rstrip("/")
        if path:
            siblings = self.entries(path.rpartition("/")[0])
            match = next((entry for entry in siblings if entry.path == path), None)
            if match is None:
                names = ", ".join(sorted(entry.name for entry in siblings)[:8])
                raise UsageError("there is no such artifact", source=where, allowed=names or None)
            if not match.is_dir:
                return path, ""
        for subfolder in SUBFOLDERS:
            inner = "/".join(part for part in (path, subfolder) if part)
            names_here = [entry.name for entry in self.entries(inner) if not entry.is_dir]
            if any(name.endswith((".pt", ".pth")) for name in names_here):
                name, note = newest(names_here, f"{self._shown}/{inner}".rstrip("/"))
                return f"{inner}/{name}".lstrip("/"), note
        raise UsageError("there is no checkpoint in this folder", source=where, hint="gaitway checkpoints lists them")

    def source(self, path: str) -> Source:
        """Return one file of the folder as a source."""
        if self._root is not None:
            file = (self._root / path).resolve()
            if not file.is_relative_to(self._root.resolve()):
                raise PlatformError("the artifact is a link that leads out of its folder", source=self._shown)
            return FileSource(file)
        url = str(self._repository.artifact_uri)
        access = _plain_access(url) if url.startswith(("http:", "https:")) else None
        if access is None:
            return RepositorySource(self._repository, path, self._server, self._shown)
        headers, verify = access
        return HttpSource(
            f"{url.rstrip('/')}/{quote(path)}", self._server.limits, headers=lambda: headers, verify=verify
        )


@dataclass(frozen=True)
class RepositorySource:
    """A file in an artifact store that only an MLflow plug-in can read."""

    repository: ArtifactRepository
    path: str
    server: TrackingServer
    shown: str

    @contextmanager
    def open(self, offset: int, version: str | None) -> Iterator[Stream]:
        """See :class:`~.base.Source`; such a store cannot resume."""
        with tempfile.TemporaryDirectory(prefix="gaitway-") as folder:
            found = Path(
                self.server.ask_once(lambda: self.repository.download_artifacts(self.path, folder), self.shown)
            )
            # a version registered on a single file "downloads" as an empty folder, with success
            if found.is_symlink() or not found.is_file():
                raise PlatformError("the artifact store handed over no file", source=f"{self.shown}/{self.path}")
            with FileSource(found).open(0, None) as stream:
                yield stream


def _unsafe(path: str) -> bool:
    try:
        return clean_path(path, "") != path
    except UsageError:
        return True


def _local_root(uri: str) -> Path | None:
    parts = urlsplit(uri)
    if parts.scheme == "file":
        return Path(unquote(parts.path))
    return Path(uri) if not parts.scheme else None


def _plain_access(url: str) -> tuple[Mapping[str, str], bool | str] | None:
    """Return headers and trust for a tracking server's own artifact URLs; None if that takes more than headers."""
    from mlflow.utils.credentials import get_default_host_creds

    creds = get_default_host_creds(url)
    if creds.auth or creds.aws_sigv4 or creds.client_cert_path:
        return None
    headers = {}
    if creds.token:
        headers["Authorization"] = f"Bearer {creds.token}"
    elif creds.username:
        pair = f"{creds.username}:{creds.password}".encode()
        headers["Authorization"] = f"Basic {base64.b64encode(pair).decode()}"
    return headers, creds.server_cert_path or not creds.ignore_tls_verification
