"""Unpacking of a release that comes as a zip or tar archive."""

from __future__ import annotations

import io
import tarfile
import zipfile
from pathlib import Path

from ..errors import UsageError
from ..payload.archive import MAX_BYTES, MAX_FILES, unpack
from .manifest import MANIFEST_FILE


def unpacked(archive: Path, into: Path) -> Path:
    """Unpack an archive and return the release folder inside it.

    Raises:
        UsageError: It is no archive that is accepted, is broken or too large, or has a member that is a link, a special
            file, absolute, or leads out of the folder.
    """
    if zipfile.is_zipfile(archive):
        unpack(archive, into)
    elif tarfile.is_tarfile(archive):
        unpack(_as_zip(archive), into)
    else:
        raise UsageError(
            f"{archive.name} is no release", source=str(archive), allowed="a folder, a zip or a tar archive"
        )
    if (into / MANIFEST_FILE).is_file():
        return into
    inner = [path for path in into.iterdir() if path.is_dir()]
    return inner[0] if len(inner) == 1 else into


def _as_zip(archive: Path) -> io.BytesIO:
    """Return a tar archive's plain members as a zip archive, so that one set of rules unpacks both."""
    buffer, total = io.BytesIO(), 0
    with tarfile.open(archive) as bundle, zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as target:
        for count, member in enumerate(bundle):
            if count >= MAX_FILES or (total := total + member.size) > MAX_BYTES:
                raise UsageError("the archive is too large, unpacked", source=str(archive))
            if member.isdir():
                continue
            if not member.isreg():
                raise UsageError(f"archive member {member.name!r} is a link or a special file", source=str(archive))
            stream = bundle.extractfile(member)
            target.writestr(zipfile.ZipInfo(member.name.removeprefix("./")), stream.read() if stream else b"")
    buffer.seek(0)
    return buffer
