"""Checkpoints that were fetched before, by their hash."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path

from ..spec.checkpoint_files import sha256_of
from ..spec.files import replacing
from ..stores.transfer import Received

LARGEST = 10 * 2**30
"""Bytes kept; what was used longest ago goes first."""


class Cache:
    """A folder of files named by their SHA-256. It may be deleted at any time.

    Args:
        folder: Where it lies.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def take(self, sha256: str, target: Path) -> Received | None:
        """Copy a file out, if it is here and still what its name says."""
        kept = self._folder / sha256
        with suppress(OSError):
            if sha256_of(kept) == sha256:
                os.utime(kept)
                _copy(kept, target)
                return Received(sha256, target.stat().st_size)
            kept.unlink()
        return None

    def put(self, sha256: str, path: Path) -> None:
        """Keep a copy of a file; a full disk only means that there is none."""
        with suppress(OSError):
            if not (self._folder / sha256).exists():
                self._folder.mkdir(parents=True, exist_ok=True)
                self._make_room(path.stat().st_size)
                _copy(path, self._folder / sha256)

    def _make_room(self, size: int) -> None:
        kept = sorted(((path.stat(), path) for path in self._folder.iterdir()), key=lambda item: item[0].st_mtime)
        total = size + sum(stat.st_size for stat, _ in kept)
        for stat, path in kept:
            if total <= LARGEST:
                return
            path.unlink(missing_ok=True)
            total -= stat.st_size


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with replacing(target) as partial:
        shutil.copyfile(source, partial)
