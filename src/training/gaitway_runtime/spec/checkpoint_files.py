"""Checkpoint files: their names, the newest of a folder, whether one is whole, and their SHA-256.

Standard library only.
"""

from __future__ import annotations

import hashlib
import re
import zipfile
from collections.abc import Iterable
from pathlib import Path

from .errors import UsageError
from .registry import ForeignError, call_foreign

CHECKPOINT_SUFFIXES = (".pt", ".pth")
SUBFOLDERS = ("", "checkpoints", "outputs/checkpoints", "checkpoints/final")
"""Where a folder's checkpoints may lie, in this order: in itself, in a run's artifacts, in a run's folder."""

AGENT_FILES = ("agent.yaml", "agent.yml", "agent.json")
"""Names of the training configuration that a run keeps."""
NETWORK_FILES = ("network.yaml", "network.yml", "network.json")
"""Names of the description of a network that no known library wrote."""
CONFIG_FILES = (*AGENT_FILES, *NETWORK_FILES)
COMPANION = "state_{}.npz"
"""Name of a checkpoint's companion: the state of its training, by iteration."""

CHECKPOINT_OUTPUT = "CHECKPOINT_OUTPUT"
"""Variable with the folder in which a platform keeps a run's checkpoints and newest companions for later attempts."""

COMPANIONS_KEPT = 2
"""Companions that are kept of a training, the newest ones: the last may be of a checkpoint that was not finished."""

_BLOCK = 1 << 20

SAFETENSORS_SUFFIX = ".safetensors"
"""End of the name of a file of safetensors."""


def iteration_of(name: str) -> int | None:
    """Return the training iteration in a checkpoint's name (``model_99.pt``, ``agent_4000.pt``), or None."""
    found = re.search(r"(\d{1,15})\.pth?$", name)
    return int(found[1]) if found else None


def companion_of(name: str) -> str | None:
    """Return the name of the companion of ``model_<iteration>.pt``, or None for a file of another name."""
    found = re.fullmatch(r"model_(\d{1,15})\.pt", name)
    return COMPANION.format(int(found[1])) if found else None


def old_companions(names: Iterable[str]) -> list[str]:
    """Return a folder's companions that newer ones have replaced: all but the last :data:`COMPANIONS_KEPT`."""
    pattern = COMPANION.replace("{}", r"(\d{1,15})").replace(".npz", r"\.npz")
    found = {int(match[1]): name for name in names if (match := re.fullmatch(pattern, name))}
    return [found[iteration] for iteration in sorted(found)[:-COMPANIONS_KEPT]]


def is_checkpoint(name: str) -> bool:
    """Whether a file has the name of a checkpoint; hidden and partial files have not."""
    return name.endswith(CHECKPOINT_SUFFIXES) and not name.startswith(".")


def newest_first(names: Iterable[str], where: str) -> list[str]:
    """Return a folder's checkpoints, the one with the highest iteration first.

    Args:
        names: File names, without folder.
        where: The folder's address, for messages.

    Raises:
        UsageError: There is none, or there are several without a number.
    """
    found = sorted(filter(is_checkpoint, names))
    numbered = [(number, name) for name in found if (number := iteration_of(name)) is not None]
    if numbered:
        return [name for _, name in sorted(numbered, reverse=True)]
    if len(found) > 1:
        raise UsageError(
            f"{len(found)} checkpoints without an iteration in their names: none is the newest",
            source=where,
            allowed=", ".join(found[:8]),
            hint=f"name one: {where.rstrip('/')}/{found[0]}",
        )
    if not found:
        raise UsageError("there is no checkpoint in this folder", source=where, hint="gaitway checkpoints lists them")
    return found


def choice_note(names: list[str], where: str, chosen: int = 0) -> str:
    """Return one sentence on which of a folder's checkpoints (newest first) was chosen."""
    if iteration_of(names[chosen]) is None:
        return f"{names[chosen]} is the only checkpoint in {where}"
    if chosen:
        skipped = ", ".join(names[:chosen])
        return f"{names[chosen]} is the newest whole checkpoint in {where}; {skipped} cannot be read"
    return f"{names[0]} is the newest of {len(names)} checkpoint{'s'[: len(names) > 1]} in {where}"


def is_whole(path: Path) -> bool:
    """Whether a checkpoint was written to its end; a process that is killed while saving leaves half of one."""
    with path.open("rb") as file:
        start = file.read(2)
    # PyTorch writes zip archives, whose directory comes last; other formats cannot be told whole by looking
    return bool(start) and (start != b"PK" or zipfile.is_zipfile(path))


def newest_whole(folder: Path) -> Path | None:
    """Return the checkpoint with the highest iteration that is whole, anywhere below a folder; None for none.

    Its checksums count too: a job that begins with a damaged file ends, at every attempt.
    """
    numbered = {
        path: number
        for path in folder.rglob("*")
        if is_checkpoint(path.name) and (number := iteration_of(path.name)) is not None
    }
    newest_first = sorted(numbered, key=lambda path: numbered[path], reverse=True)
    return next((path for path in newest_first if is_whole(path) and damage_of(path) is None), None)


def damage_of(path: Path) -> str | None:
    """Return what is damaged in a checkpoint, or None.

    PyTorch reads its zip archives without a look at their checksums: a flipped bit becomes another weight.

    Raises:
        OSError: The file cannot be read.
    """
    with path.open("rb") as file:
        if file.read(2) != b"PK":
            return None
    try:
        broken = call_foreign(lambda: _first_broken(path))  # each kind of compression raises errors of its own
    except ForeignError as error:
        if isinstance(error.cause, OSError) and error.cause.errno:
            raise error.cause from None
        return f"its archive is broken: {' '.join(str(error.cause).split())[:200]}"
    return f"the checksum of its part '{broken[:100]}' is wrong" if broken else None


def _first_broken(path: Path) -> str | None:
    with zipfile.ZipFile(path) as archive:
        return archive.testzip()


def members_of(path: Path) -> list[zipfile.ZipInfo] | None:
    """Return what a zip archive lists; None for a file of another kind.

    Raises:
        UsageError: Its list cannot be read.
    """
    if not zipfile.is_zipfile(path):
        return None
    try:
        return call_foreign(lambda: _listed(path))
    except ForeignError:
        raise UsageError("the file cannot be read: its archive is damaged", source=str(path)) from None


def _listed(path: Path) -> list[zipfile.ZipInfo]:
    with zipfile.ZipFile(path) as archive:
        return archive.infolist()


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file as hex digits."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()
