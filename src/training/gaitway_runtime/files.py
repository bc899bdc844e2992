"""Files that appear whole or not at all. Standard library only."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a path to write to, and put that file in place of ``path`` when the block is done; on an error, nothing.

    A reader sees the old file or the new one, never half of one, even if the machine goes down.
    """
    with beside(path) as partial:
        yield partial
        with partial.open("rb") as file:
            os.fsync(file.fileno())
        partial.chmod(0o644)
        partial.replace(path)


@contextmanager
def beside(path: Path) -> Iterator[Path]:
    """Give the path of an empty file in the same folder and of the same kind; it is gone afterwards if still there."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem[:100]}.", suffix=path.suffix)
    os.close(handle)
    partial = Path(name)
    try:
        yield partial
    finally:
        partial.unlink(missing_ok=True)
