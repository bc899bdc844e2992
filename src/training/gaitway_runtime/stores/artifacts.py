"""Artifact folders of MLflow runs and models: listed, read and published, wherever the server keeps them.

All of it goes through the artifact repository of the folder itself. MLflow's own client also asks for logged models,
which Azure ML does not have (azure-sdk-for-python issue 44896), and takes an artifact that is there already for an
error: Azure ML's are write-once, and the record of one exists before its content.
"""

from __future__ import annotations

import base64
import os
import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote, urlsplit

from ..spec.checkpoint_files import SUBFOLDERS, choice_note, is_checkpoint, newest_first, sha256_of
from ..spec.errors import ConfigError, GaitwayError, PlatformError, UsageError
from ..spec.secrets import public_form
from .http_source import HttpSource
from .mlflow_client import Failure, StoreFailure, attempt
from .streams import FileSource, Source, Stream, UnreadableFile
from .tracking_server import TrackingServer, check_client
from .transfer import transfer

if TYPE_CHECKING:
    from mlflow.store.artifact.artifact_repo import ArtifactRepository

SHA256_TAG = "gaitway.sha256."
"""Prefix of the run tags that held the SHA-256 of checkpoints before there was a manifest; the file's stem follows."""
VERSION_SHA256_TAG = "gaitway.sha256"
"""Tag of a registered model version that holds the SHA-256 of its checkpoint."""

WRITE_ONCE = ("azureml:",)
"""Beginnings of the addresses of stores that keep what they were given first."""

ASIDE = "attempts"
"""Folder of what such a store could not take under its own name, with a folder for each attempt; ids of later attempts
sort behind those of earlier ones."""

_MOST_ATTEMPTS = 8
"""Newest attempts whose folders are looked into."""

_MISSING = re.compile(r"BlobNotFound|ResourceNotFound|blob does not exist|was not found|Cannot find|\b404\b")
"""Words of plug-ins for a file that is listed but not there; MLflow wraps them in an error of its own."""

_REFUSED = re.compile(r"Authorization(Failed|Failure|PermissionMismatch)|\b403\b")
"""Words of plug-ins for a file that this identity may not read."""

_DEEPEST, _MOST_FOLDERS = 3, 50
"""Levels of folders that are searched for checkpoints, and folders of each."""

_CREDENTIALS = ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN", "MLFLOW_TRACKING_AUTH")


@dataclass(frozen=True)
class Entry:
    """One thing in an artifact folder."""

    path: str
    is_dir: bool
    size: int | None = None
    """Size of a file, where the store tells [bytes]."""

    @property
    def name(self) -> str:
        """The last part of its path."""
        return self.path.rpartition("/")[2]


@dataclass(frozen=True)
class Choice:
    """The files that an address stands for, the newest first, and a sentence if it was a choice."""

    paths: tuple[str, ...]
    note: str = ""


class ArtifactFolder:
    """A folder of artifacts. Paths are below the root that the store knows.

    Args:
        root: MLflow's artifact URI of the root.
        base: Path of the folder below the root; it may turn out to be a file.
        server: The tracking server that knows the root.
        shown: The folder's address as errors may show it.

    Raises:
        ConfigError: The root lies on another host, which would be sent the credentials of the tracking server, or in
            a store that cannot be used from here.
    """

    def __init__(self, root: str, base: str, server: TrackingServer, shown: str) -> None:
        from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

        self._base = base
        self._server = server
        self._shown = shown
        self._local = local_root(root)
        check_client(root, shown)
        self._repository: ArtifactRepository = server.ask(
            lambda: get_artifact_repository(root, tracking_uri=server.uri), shown
        )
        _check_origin(str(self._repository.artifact_uri), server.uri, shown)

    def entries(self, folder: str) -> list[Entry]:
        """Return what lies directly in a folder below the root; nothing for a file or a folder that is not there.

        Raises:
            PlatformError: The server lists something that could lead out of the root.
        """
        listed = self._server.ask(lambda: self._repository.list_artifacts(folder or None), self._shown, missing=list)
        entries = [Entry(item.path, bool(item.is_dir), _size(item.file_size)) for item in listed]
        if any(_unsafe(entry.path) for entry in entries):
            raise PlatformError("the server lists a file outside of its artifacts", source=self._shown)
        # Azure ML's plug-in goes by the beginning of the name: it lists checkpoints-old/ below checkpoints too
        return [entry for entry in entries if entry.path.rpartition("/")[0] == folder]

    def choose(self, path: str) -> Choice:
        """Return the files that ``path`` below the folder stands for: itself, or a folder's checkpoints.

        Raises:
            UsageError: There is no such file, or no checkpoint in the folder.
        """
        wanted = _join(self._base, path)
        if wanted and not self._is_folder(wanted):
            return Choice(self._with_asides((wanted,)))
        for subfolder in SUBFOLDERS:
            inner = _join(wanted, subfolder)
            names = [entry.name for entry in self.entries(inner) if not entry.is_dir]
            if any(map(is_checkpoint, names)):
                where = self.address_of(inner)
                ordered = newest_first(names, where)
                paths = self._with_asides(tuple(_join(inner, name) for name in ordered))
                return Choice(paths, choice_note(ordered, where))
        return self._search(wanted)

    def _with_asides(self, paths: tuple[str, ...]) -> tuple[str, ...]:
        """Return files, each followed by what :meth:`publish` has put elsewhere in its place, the newest first."""
        if not str(self._repository.artifact_uri).startswith(WRITE_ONCE):
            return paths
        attempts = sorted((entry.path for entry in self.entries(ASIDE) if entry.is_dir), reverse=True)
        folders = {path.rpartition("/")[0] for path in paths}
        there = {
            entry.path
            for attempt in attempts[:_MOST_ATTEMPTS]
            for folder in folders
            for entry in self.entries(_join(attempt, folder))
        }
        asides = {path: [aside for attempt in attempts if (aside := _join(attempt, path)) in there] for path in paths}
        return tuple(found for path in paths for found in (path, *asides[path]))

    def _search(self, folder: str) -> Choice:
        """Return the checkpoints of the one folder, somewhere below a folder, that has any.

        Models that MLflow logged keep them at a place of their own: ``artifacts/`` of a pyfunc model, for example.

        Raises:
            UsageError: There is none, or there are several.
        """
        level, found = [folder], []
        for _ in range(_DEEPEST):
            inner = [entry.path for one in level for entry in self.entries(one) if entry.is_dir][:_MOST_FOLDERS]
            found += [one for one in inner if any(is_checkpoint(entry.name) for entry in self.entries(one))]
            level = inner
        if len(found) == 1:
            names = [entry.name for entry in self.entries(found[0]) if not entry.is_dir]
            where = self.address_of(found[0])
            ordered = newest_first(names, where)
            return Choice(tuple(_join(found[0], name) for name in ordered), choice_note(ordered, where))
        raise UsageError(
            "there are checkpoints in several folders" if found else "there is no checkpoint in this folder",
            source=self.address_of(folder),
            allowed=", ".join(self.address_of(one) for one in found[:8]) or None,
            hint="gaitway checkpoints lists the checkpoints",
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

    def publish(self, file: Path, folder: str, spare: str) -> str:
        """Upload a file and return its path below the root.

        A file that is there already, with the same content, is not sent again. Where a write-once store keeps another
        content under that name, or a name without content, the file goes to the folder ``spare`` in place of the root.

        Raises:
            StoreFailure: It cannot be uploaded now.
        """
        try:
            attempt(lambda: self._repository.log_artifact(str(file), folder or None))
        except StoreFailure as failure:
            if not failure.conflict:
                raise
            if self._holds(file, _join(folder, file.name)):
                return _join(folder, file.name)
            return self._publish_aside(file, _join(spare, folder))
        if str(self._repository.artifact_uri).startswith(("http:", "https:", "mlflow-artifacts:")):
            self._check_arrived(_join(folder, file.name))
        return _join(folder, file.name)

    def _check_arrived(self, path: str) -> None:
        """Check that a tracking server lists a file that it seemed to take: a proxy's page also has the status 200.

        Raises:
            StoreFailure: It does not.
        """
        listed = attempt(lambda: self._repository.list_artifacts(path.rpartition("/")[0] or None))
        if not any(item.path == path for item in listed):
            raise StoreFailure(Failure.AWAY, OSError(f"the server does not list {path}, which it was sent"))

    def remove(self, path: str) -> None:
        """Remove a file below the root.

        Raises:
            StoreFailure: The store does not let this user, or is away.
        """
        attempt(lambda: self._repository.delete_artifacts(path))

    def _publish_aside(self, file: Path, folder: str) -> str:
        try:
            attempt(lambda: self._repository.log_artifact(str(file), folder))
        except StoreFailure as failure:
            # this process, or the one before it, has been here
            if not (failure.conflict and self._holds(file, _join(folder, file.name))):
                raise
        return _join(folder, file.name)

    def _holds(self, file: Path, path: str) -> bool:
        """Whether the store has a file's very content under a path."""
        known = next((entry for entry in self.entries(path.rpartition("/")[0]) if entry.path == path), None)
        if known is not None and known.size is not None and known.size != file.stat().st_size:
            return False
        with tempfile.TemporaryDirectory(prefix="gaitway-") as place:
            try:
                received = transfer(self.source(path), Path(place) / "copy", self._server.limits, self.address_of(path))
            except (UnreadableFile, UsageError):
                return False
            except GaitwayError as error:
                raise StoreFailure(Failure.AWAY, error) from None
        return received.sha256 == sha256_of(file)

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
        """See :class:`~.streams.Source`; such a store cannot resume."""
        with (
            tempfile.TemporaryDirectory(prefix="gaitway-") as folder,
            FileSource(self._downloaded(folder)).open(0, None) as stream,
        ):
            yield stream

    def _downloaded(self, folder: str) -> Path:
        """Download the file into a folder and return it.

        Raises:
            UnreadableFile: The store has a record of the file but not its content.
        """
        address = f"{self.shown}/{self.path}"
        try:
            found = attempt(lambda: Path(self.repository.download_artifacts(self.path, folder)))
        except StoreFailure as failure:
            missing = failure.status == 404 or _MISSING.search(str(failure.error))
            if failure.kind is Failure.UNKNOWN or missing:
                raise UnreadableFile(
                    f"the store lists this file and does not have it: {failure}", source=address
                ) from None
            if _REFUSED.search(str(failure.error)):
                failure = StoreFailure(Failure.DENIED, failure.error)
            raise self.server.meaning(failure, address) from None
        # a version registered on a single file "downloads" as an empty folder, with success
        if found.is_symlink() or not found.is_file():
            raise UnreadableFile("the artifact store returned no file", source=address)
        return found


def clean_path(text: str, source: str) -> str:
    """Return a path below some root, without empty parts.

    Raises:
        UsageError: It could lead out of the root, or holds characters that no artifact has.
    """
    parts = [part for part in text.split("/") if part]
    for part in parts:
        plain = unquote(unquote(part))
        if plain in (".", "..") or re.search(r"[/\\\x00-\x1f\x7f]", plain):
            raise UsageError(f"'{part[:80]}' cannot be part of an artifact's path", source=source)
    return "/".join(parts)


def _join(*parts: str) -> str:
    return "/".join(part for part in parts if part)


def _size(told: int | None) -> int | None:
    return told if told is not None and told > 0 else None


def _unsafe(path: str) -> bool:
    try:
        return clean_path(path, "") != path
    except UsageError:
        return True


def local_root(uri: str) -> Path | None:
    """Return the folder of this machine that an artifact URI names; None for one that lies elsewhere."""
    parts = urlsplit(uri)
    if parts.scheme == "file":
        return Path(unquote(parts.path))
    return Path(uri) if not parts.scheme else None


def _check_origin(url: str, server: str, shown: str) -> None:
    """Refuse artifacts of another host while there are credentials: MLflow sends them to whatever host a run names.

    Raises:
        ConfigError: The host is another one, and there are credentials.
    """
    if not url.startswith(("http:", "https:")) or _origin(url) == _origin(server):
        return
    given = [name for name in _CREDENTIALS if os.environ.get(name)]
    if given:
        raise ConfigError(
            "the artifacts lie on another host than the tracking server, whose credentials are not sent there",
            source=f"{shown}: {public_form(url)}",
            hint=f"if that host is to be trusted, fetch from it without {', '.join(given)}",
        )


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)


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
