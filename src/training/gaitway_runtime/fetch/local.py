"""Checkpoints on this machine: a path or a ``file:`` URI, of a file or a folder."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar
from urllib.parse import unquote

from ..spec.checkpoint_files import SUBFOLDERS, choice_note, is_checkpoint, is_whole, newest_first
from ..spec.errors import UsageError
from ..stores.hashes import local_hash
from .base import MOST_CANDIDATES, Located, Order
from .sidecars import SUFFIX, read_sidecar


@dataclass(frozen=True)
class LocalAddress:
    """A path."""

    path: Path

    form: ClassVar[str] = "a path or file:///path"

    @classmethod
    def parse(cls, text: str) -> LocalAddress:
        """See :meth:`~.base.Address.parse`."""
        found = re.fullmatch(r"file:(?://([^/]*))?(/.*)", text, re.IGNORECASE | re.DOTALL)
        if found and (found[1] or "").lower() not in ("", "localhost"):
            raise UsageError(f"'{found[1]}' is another machine", source=text, allowed="file:///path")
        path = unquote(found[2]) if found else text
        if (text.lower().startswith("file:") and not found) or "\x00" in path:
            raise UsageError("this is not a file: URI", source=text, allowed="file:///path")
        return cls(Path(os.path.expanduser(path)))

    def locate(self, order: Order) -> tuple[Located, ...]:
        """See :meth:`~.base.Address.locate`."""
        path, note = self.path.absolute(), ""
        try:
            files = [path]
            if path.is_dir():
                files, note = _newest_in(path)
            if not files[0].is_file():
                raise UsageError(
                    "there is no such file", source=str(self.path), hint="gaitway checkpoints lists the checkpoints"
                )
            return tuple(_located(file, note) for file in files[:MOST_CANDIDATES])
        except (OSError, ValueError) as error:
            raise UsageError(f"this path cannot be read: {error}", source=str(self.path)) from None


def _located(path: Path, note: str) -> Located:
    sidecar = path.with_name(f"{path.name}{SUFFIX}")
    sha256 = read_sidecar(sidecar.read_bytes()[:200]) if sidecar.is_file() else None
    known = sha256 or local_hash(path)
    return Located(resolved_uri=str(path), name=path.name, path=path, sha256=known, note=note)


def _newest_in(folder: Path) -> tuple[list[Path], str]:
    for name in SUBFOLDERS:
        inner = folder / name
        files = [path for path in inner.iterdir() if path.is_file()] if inner.is_dir() else []
        names = [path.name for path in files if is_checkpoint(path.name) and is_whole(path)]
        if names:
            ordered = newest_first(names, str(inner))
            return [inner / one for one in ordered], choice_note(ordered, str(inner))
    return [folder / newest_first([], str(folder))[0]], ""
