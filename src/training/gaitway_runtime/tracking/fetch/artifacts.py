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
from .picking import SUBFOLDERS, is_checkpoint, newest

if TYPE_CHECKING:
    from mlflow.store.artifact.artifact_repo import ArtifactRepository


@dataclass(frozen=True)
class Entry:
    """One thing in an artifact folder."""

    path: str
    is_dir: bool

    @property
    def name(self) -> str:
        """The last part of its path."""
        return self.path.rpartition("/")[2]


class ArtifactFolder:
    """A folder of artifacts that can be listed and read. Paths are below the root that the store knows.

    Args:
        root: MLflow's artifact URI of the root.
        base: Path of the folder below the root; it may turn out to be a file.
        server: The tracking server that knows the root.
        shown: The folder's address as errors may show it.
    """

    def __init__(self, root: str, base: str, server: TrackingServer, shown: str) -> None:
        from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

        self._base = base
        self._server = server
        self._shown = shown
        self._local = _local_root(root)
        self._repository: ArtifactRepository = server.ask(
            lambda: get_artifact_repository(root, tracking_uri=server.uri), shown
        )

    def entries(self, folder: str) -> list[Entry]:
        """Return what lies directly in a folder below the root; nothing for a file or a folder that is not there.

        Raises:
            PlatformError: The server lists something that could lead out of the root.
        """
        listed = self._server.ask(lambda: self._repository.list_artifacts(folder or None), self._shown, missing=list)
        entries = [Entry(item.path, bool(item.is_dir)) for item in listed]
        if any(_unsafe(entry.path) for entry in entries):
            raise PlatformError("the server lists a file outside of its artifacts", source=self._shown)
        # Azure ML's plug-in goes by the beginning of the name: it lists checkpoints-old/ below checkpoints too
        return [entry for entry in entries if entry.path.rpartition("/")[0] == folder]

    def choose(self, path: str) -> tuple[str, str]:
        """Return the one file, below the root, that ``path`` below the folder stands for.

        Returns:
            Its path, and a sentence if it was a choice.

        Raises:
            UsageError: There is no such file, or no checkpoint in the folder.
        """
        wanted = _join(self._base, path)
        if wanted and not self._is_folder(wanted):
            return wanted, ""
        for subfolder in SUBFOLDERS:
            inner = _join(wanted, subfolder)
            names = [entry.name for entry in self.entries(inner) if not entry.is_dir]
            if any(map(is_checkpoint, names)):
                name, note = newest(names, self.address_of(inner))
                return _join(inner, name), note
        raise UsageError(
            "there is no checkpoint in this folder",
            source=self.address_of(wanted),
            hint="gaitway checkpoints lists what there is",
        )

    def address_of(self, path: str) -> str:
        """Return the address of something in the folder."""
        inside = f"{path}/".removeprefix(f"{self._base}/" if self._base else "")
        return f"{self._shown}/{inside}".rstrip("/")

    def source(self, path: str) -> Source:
        """Return a file below the root as a source."""
        if self._local is not None:
            file = (self._local / path).resolve()
            if not file.is_relative_to(self._local.resolve()):
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

    def _is_folder(self, path: str) -> bool:
        siblings = self.entries(path.rpartition("/")[0])
        match = next((entry for entry in siblings if entry.path == path), None)
        if match is None:
            names = ", ".join(sorted(entry.name for entry in siblings)[:8])
            raise UsageError("there is no such artifact", source=self.address_of(path), allowed=names or None)
        return match.is_dir


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


def _join(*parts: str) -> str:
    return "/".join(part for part in parts if part)


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
