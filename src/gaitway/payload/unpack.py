"""Unpacking an archive that may be hostile."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import IO

from ..errors import UsageError
from .select import folded

MAX_FILES = 20_000
MAX_BYTES = 4 * 2**30
"""Bounds of an archive of unknown origin, unpacked [bytes]."""


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
