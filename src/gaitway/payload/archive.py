"""Payload: the manifest of its files, and its archive, a zip file that is the same byte for byte wherever it is made.

Sorted members, one fixed time, owner and permission. The bytes also depend on the zlib release that compresses
them; the payload's ``sha256``, which is over the contents, does not.
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import os
import shutil
import stat
import tempfile
import unicodedata
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from gaitway_runtime.spec.files import PAYLOAD_LIST
from gaitway_runtime.spec.types import Json, JsonObject

from ..errors import UsageError


@dataclass(frozen=True)
class PayloadFile:
    """One file: where it lies, where it goes, how large it is and what it holds."""

    source: Path
    path: str
    """Path inside the payload, with ``/``."""
    size: int
    """[bytes]."""
    sha256: str


@dataclass(frozen=True)
class LeftOut:
    """A file that a user might expect in the payload and that is not in it, with the reason."""

    path: str
    reason: str


@dataclass(frozen=True)
class Payload:
    """The files of a job and their provenance.

    ``sha256`` is a digest over the sorted paths and contents: equal content gives an equal digest on any
    machine, whatever the file times and owners are.
    """

    files: tuple[PayloadFile, ...]
    sha256: str
    commit: str | None = None
    dirty: tuple[str, ...] = ()
    """Files of the payload that are not committed as they are."""
    roots: tuple[str, ...] = ()
    """What it was selected from, as the user named it."""
    left_out: tuple[LeftOut, ...] = ()
    notes: tuple[str, ...] = ()
    """Decisions of the selection that a user should see."""

    @property
    def size(self) -> int:
        """Bytes of all files, unpacked."""
        return sum(file.size for file in self.files)

    def largest(self, count: int = 5) -> tuple[PayloadFile, ...]:
        """Return the largest files, largest first."""
        return tuple(sorted(self.files, key=lambda file: -file.size)[:count])


def to_document(payload: Payload) -> dict[str, Json]:
    """Return the payload as it stands in ``payload.json``."""
    return {
        "sha256": payload.sha256,
        "size": payload.size,
        "commit": payload.commit,
        "dirty": list(payload.dirty),
        "roots": list(payload.roots),
        "notes": list(payload.notes),
        "left_out": [dataclasses.asdict(left) for left in payload.left_out],
        "files": [{"path": file.path, "size": file.size, "sha256": file.sha256} for file in payload.files],
    }


def files_of(document: JsonObject) -> dict[str, str]:
    """Return the content hash of each file of a ``payload.json`` document, by path."""
    files = document.get("files")
    whole = [file for file in files if isinstance(file, Mapping)] if isinstance(files, list) else []
    return {str(file["path"]): str(file["sha256"]) for file in whole if {"path", "sha256"} <= file.keys()}


EPOCH = (1980, 1, 1, 0, 0, 0)
"""The earliest time a zip archive can hold."""


def pack(payload: Payload, archive: IO[bytes], *, listed: bool = False) -> None:
    """Write the payload's archive.

    Args:
        payload: What to pack.
        archive: Seekable binary file to write to.
        listed: Whether to add the list by which the job checks, where it is unpacked, that nothing has changed.

    Raises:
        UsageError: A file is not what it was when it was selected.
    """
    with zipfile.ZipFile(archive, "w") as bundle:
        for file in sorted(payload.files, key=lambda file: file.path):
            _add(bundle, file)
        if listed:
            # Not compressed: it is digits, and the size of the archive decides its way.
            bundle.writestr(_member(PAYLOAD_LIST), payload_list(payload), zipfile.ZIP_STORED)


def payload_list(payload: Payload) -> str:
    """Return the list of a payload's files that travels with it, as :data:`PAYLOAD_LIST`."""
    files = [{"path": file.path, "sha256": file.sha256} for file in sorted(payload.files, key=lambda file: file.path)]
    return json.dumps({"sha256": payload.sha256, "files": files}, separators=(",", ":"))


def packed(payload: Payload, *, listed: bool = False) -> bytes:
    """Return the payload's archive, see :func:`pack`; for payloads that fit into memory.

    Raises:
        UsageError: A file is not what it was when it was selected.
    """
    buffer = io.BytesIO()
    pack(payload, buffer, listed=listed)
    return buffer.getvalue()


def _member(path: str) -> zipfile.ZipInfo:
    member = zipfile.ZipInfo(path, EPOCH)
    member.create_system = 3  # Unix, also when packed elsewhere
    member.external_attr = (stat.S_IFREG | 0o644) << 16
    member.compress_type = zipfile.ZIP_DEFLATED
    return member


def _add(bundle: zipfile.ZipFile, file: PayloadFile) -> None:
    member = _member(file.path)
    member.file_size = file.size
    digest = hashlib.sha256()
    try:
        with file.source.open("rb") as source, bundle.open(member, "w") as target:
            while block := source.read(1 << 20):
                digest.update(block)
                target.write(block)
    except OSError as error:
        raise UsageError(f"a file of the payload cannot be read: {error.strerror}", source=str(file.source)) from None
    if digest.hexdigest() != file.sha256:
        raise UsageError(
            f"{file.path} changed while it was packed", source=str(file.source), hint="run the command again"
        )


MAX_FILES = 20_000
MAX_BYTES = 4 * 2**30
"""Bounds of an archive of unknown origin, unpacked [bytes]."""


def folded(path: str) -> str:
    """Return a path as a file system without case or Unicode forms sees it."""
    return unicodedata.normalize("NFC", path).casefold()


def unpack(
    archive: Path | IO[bytes], into: Path, *, max_files: int = MAX_FILES, max_bytes: int = MAX_BYTES
) -> list[Path]:
    """Unpack a zip archive into a folder that does not exist yet, whole or not at all.

    Args:
        archive: The archive.
        into: Folder to make.
        max_files: Members that are accepted.
        max_bytes: Bytes that are accepted, unpacked.

    Returns:
        The files that were made.

    Raises:
        UsageError: The archive is broken, exceeds a bound, or has a member that is absolute, leads to a parent,
            is a link or no regular file, is encrypted, or takes the place of another. Nothing is left behind.
    """
    if into.exists():
        raise UsageError(f"the folder to unpack into exists: {into}", source="unpack")
    into.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(dir=into.parent, prefix=f".{into.name}."))
    try:
        with zipfile.ZipFile(archive) as bundle:
            members = _checked(bundle.infolist(), max_files, max_bytes)
            _extract(bundle, members, partial, max_bytes)
        partial.chmod(0o755)
        partial.rename(into)
    except (zipfile.BadZipFile, EOFError, NotImplementedError, zlib.error) as error:
        raise UsageError(f"the archive is broken: {error}", source=_name(archive)) from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return [into / member.filename for member in members]


def _checked(infos: Sequence[zipfile.ZipInfo], max_files: int, max_bytes: int) -> list[zipfile.ZipInfo]:
    """Return the members that are files, all of them acceptable.

    Raises:
        UsageError: One is not.
    """
    members = [info for info in infos if not info.filename.endswith("/")]
    if len(infos) > max_files:
        raise UsageError(f"the archive has {len(infos)} members", source="unpack", allowed=f"at most {max_files}")
    if sum(info.file_size for info in members) > max_bytes:
        raise _too_large(max_bytes)
    for info in infos:
        reason = _objection(info)
        if reason:
            raise UsageError(f"archive member {info.filename!r} {reason}", source="unpack")
    _check_places(members)
    return members


def _objection(info: zipfile.ZipInfo) -> str | None:
    """Return why a member is not acceptable, or None."""
    name = info.filename.removesuffix("/")
    mode = info.external_attr >> 16
    if name.startswith("/") or (len(name) > 1 and name[1] == ":"):
        return "is an absolute path"
    if any(part in ("", ".", "..") for part in name.split("/")):
        return "leads out of the folder or is no plain path"
    if "\\" in name or not name.isprintable():
        return "has a backslash or a control character in its name"
    if info.flag_bits & 0x1:
        return "is encrypted"
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return "is compressed in a way that is not accepted"
    if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "is a link or a special file"
    return None


def _check_places(members: Sequence[zipfile.ZipInfo]) -> None:
    """Refuse members that would take each other's place, on any file system.

    Raises:
        UsageError: Two do.
    """
    files: dict[str, str] = {}
    for info in members:
        place = folded(info.filename)
        if place in files:
            raise UsageError(
                f"archive members {files[place]!r} and {info.filename!r} are the same file", source="unpack"
            )
        files[place] = info.filename
    for path, name in files.items():
        for parent in PurePosixPath(path).parents:
            if str(parent) in files:
                raise UsageError(f"archive member {name!r} lies below another that is a file", source="unpack")


def _extract(bundle: zipfile.ZipFile, members: Sequence[zipfile.ZipInfo], folder: Path, max_bytes: int) -> None:
    written = 0
    for info in members:
        target = folder / info.filename
        target.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        with os.fdopen(handle, "wb") as sink, bundle.open(info) as source:
            while block := source.read(1 << 20):
                written += len(block)
                if written > max_bytes:  # a member may be larger than it says
                    raise _too_large(max_bytes)
                sink.write(block)


def _too_large(max_bytes: int) -> UsageError:
    return UsageError("the archive is too large, unpacked", source="unpack", allowed=f"at most {max_bytes} bytes")


def _name(archive: Path | IO[bytes]) -> str:
    return str(archive) if isinstance(archive, Path) else "archive"
