"""Checkpoints on this machine: a path or a ``file:`` URI, of a file or a folder."""

from __future__ import annotations

import os
import re
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, ClassVar
from urllib.parse import unquote

from ...errors import UsageError
from .base import Located, Order, Stream
from .picking import SUBFOLDERS, is_checkpoint, newest

_BLOCK = 1 << 20


@dataclass(frozen=True)
class LocalAddress:
    """A path; the address of last resort."""

    path: Path

    form: ClassVar[str] = "a path or file:///path"

    @classmethod
    def parse(cls, text: str) -> LocalAddress | None:
        """See :meth:`~.base.Address.parse`."""
        found = re.fullmatch(r"file:(?://([^/]*))?(/.*)", text, re.IGNORECASE | re.DOTALL)
        if found and (found[1] or "").lower() not in ("", "localhost"):
            raise UsageError(f"'{found[1]}' is another machine", source=text, allowed="file:///path")
        path = unquote(found[2]) if found else text
        if (text.lower().startswith("file:") and not found) or "\x00" in path:
            raise UsageError("this is no file: URI", source=text, allowed="file:///path")
        return cls(Path(os.path.expanduser(path)))

    def locate(self, order: Order) -> Located:
        """See :meth:`~.base.Address.locate`."""
        path, note = self.path.absolute(), ""
        try:
            if path.is_dir():
                path, note = _newest_in(path)
            if not path.is_file():
                raise UsageError(
                    "there is no such file", source=str(self.path), hint="gaitway checkpoints lists what there is"
                )
            sidecar = path.with_name(f"{path.name}.sha256")
            sha256 = read_sidecar(sidecar.read_bytes()[:200]) if sidecar.is_file() else None
        except (OSError, ValueError) as error:
            raise UsageError(f"this path cannot be read: {error}", source=str(self.path)) from None
        return Located(resolved_uri=str(path), name=path.name, path=path, sha256=sha256, note=note)


@dataclass(frozen=True)
class FileSource:
    """A file on this machine as a source to copy from."""

    path: Path

    @contextmanager
    def open(self, offset: int, version: str | None) -> Iterator[Stream]:
        """See :class:`~.base.Source`."""
        try:
            file = self.path.open("rb")
        except OSError as error:
            raise UsageError(f"this file cannot be read: {error.strerror}", source=str(self.path)) from None
        with file:
            yield Stream(_blocks(file), 0, os.fstat(file.fileno()).st_size, None)


def read_sidecar(content: bytes) -> str | None:
    """Return the hash in a ``.sha256`` file (``sha256sum``'s form or bare), or None if there is none in it."""
    found = re.match(rb"\s*([0-9a-fA-F]{64})(?:\s|$)", content)
    return found[1].decode().lower() if found else None


def is_whole(path: Path) -> bool:
    """Whether a checkpoint was written to its end; a process that is killed while saving leaves half of one."""
    with path.open("rb") as file:
        start = file.read(2)
    # PyTorch writes zip archives, whose directory comes last; anything else cannot be told apart by looking
    return bool(start) and (start != b"PK" or zipfile.is_zipfile(path))


def _newest_in(folder: Path) -> tuple[Path, str]:
    for name in SUBFOLDERS:
        inner = folder / name
        files = [path for path in inner.iterdir() if path.is_file()] if inner.is_dir() else []
        names = [path.name for path in files if is_checkpoint(path.name) and is_whole(path)]
        if names:
            chosen, note = newest(names, str(inner))
            return inner / chosen, note
    return folder / newest([], str(folder))[0], ""


def _blocks(file: BinaryIO) -> Iterator[bytes]:
    while block := file.read(_BLOCK):
        yield block
