"""Marks in a checkpoint file, read without loading it: its task, the tracked run that it is of."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path

from gaitway_runtime.spec.registry import ForeignError, call_foreign

LARGEST_DESCRIPTION = 8 << 20
"""Largest part of a checkpoint that is looked through [bytes]: what describes the tensors, without them."""


def mark_of(path: Path, key: str) -> str | None:
    """Return the text that follows a key in the description of a checkpoint's contents; None where there is none."""
    try:
        return call_foreign(lambda: _following(path, key))  # each kind of compression raises errors of its own
    except ForeignError:
        return None


def _following(path: Path, key: str) -> str | None:
    with zipfile.ZipFile(path) as archive:
        [member] = [info for info in archive.infolist() if info.filename.rpartition("/")[2] == "data.pkl"]
        if member.file_size > LARGEST_DESCRIPTION:
            return None
        texts = _texts(archive.read(member))
        return next((next(texts, None) for text in texts if text == key), None)


def _texts(content: bytes) -> Iterator[str]:
    """Yield the texts of a pickle in order. It is read as a list of instructions; none is carried out."""
    import pickletools  # here: most commands look into no file

    for _, argument, _ in pickletools.genops(content):
        if isinstance(argument, str):
            yield argument
