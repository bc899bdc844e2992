"""Which file of a folder is the checkpoint that was meant."""

from __future__ import annotations

import re
from collections.abc import Iterable

from ...errors import UsageError
from ..registry import CHECKPOINT_SUFFIXES

SUBFOLDERS = ("", "checkpoints", "outputs/checkpoints", "checkpoints/final")
"""Where a folder's checkpoints may lie, tried in this order: in itself, in a run's artifacts, in a run's folder."""


def iteration_of(name: str) -> int | None:
    """Return the training iteration in a checkpoint's name (``model_99.pt``, ``agent_4000.pt``), or None."""
    found = re.search(r"(\d{1,15})\.pth?$", name)
    return int(found[1]) if found else None


def is_checkpoint(name: str) -> bool:
    """Whether a file's name is that of a checkpoint; hidden and partial files are none."""
    return name.endswith(CHECKPOINT_SUFFIXES) and not name.startswith(".")


def newest(names: Iterable[str], where: str) -> tuple[str, str]:
    """Choose the newest checkpoint among a folder's files: the one with the highest iteration.

    Args:
        names: File names, without folder.
        where: The folder's address, for messages.

    Returns:
        The file's name, and a sentence on the choice.

    Raises:
        UsageError: There is none, or several without a number.
    """
    found = sorted(filter(is_checkpoint, names))
    numbered = [(number, name) for name in found if (number := iteration_of(name)) is not None]
    if numbered:
        _, name = max(numbered)
        return name, f"{name} is the newest of {len(numbered)} checkpoint{'s'[: len(numbered) > 1]} in {where}"
    if len(found) == 1:
        return found[0], f"{found[0]} is the only checkpoint in {where}"
    if found:
        raise UsageError(
            f"{len(found)} checkpoints without an iteration in their names: none is the newest",
            source=where,
            allowed=", ".join(found[:8]),
            hint=f"name one: {where.rstrip('/')}/{found[0]}",
        )
    raise UsageError("there is no checkpoint in this folder", source=where, hint="gaitway checkpoints lists them")
