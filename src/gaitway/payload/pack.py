"""The archive of a payload: a zip file that is the same byte for byte wherever and whenever it is made.

Sorted members, one fixed time, owner and permission. The bytes also depend on the zlib release that compresses
them; the payload's ``sha256``, which is over the contents, does not.
"""

from __future__ import annotations

import hashlib
import io
import stat
import zipfile
from typing import IO

from ..errors import UsageError
from .manifest import Payload, PayloadFile

EPOCH = (1980, 1, 1, 0, 0, 0)
"""The earliest time a zip archive can hold."""


def pack(payload: Payload, archive: IO[bytes]) -> None:
    """Write the payload's archive.

    Args:
        payload: What to pack.
        archive: Seekable binary file to write to.

    Raises:
        UsageError: A file is not what it was when it was selected.
    """
    with zipfile.ZipFile(archive, "w") as bundle:
        for file in sorted(payload.files, key=lambda file: file.path):
            _add(bundle, file)


def packed(payload: Payload) -> bytes:
    """Return the payload's archive; for payloads that fit into memory.

    Raises:
        UsageError: A file is not what it was when it was selected.
    """
    buffer = io.BytesIO()
    pack(payload, buffer)
    return buffer.getvalue()


def _add(bundle: zipfile.ZipFile, file: PayloadFile) -> None:
    member = zipfile.ZipInfo(file.path, EPOCH)
    member.create_system = 3  # Unix, also when packed elsewhere
    member.external_attr = (stat.S_IFREG | 0o644) << 16
    member.compress_type = zipfile.ZIP_DEFLATED
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
