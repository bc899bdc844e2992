"""rl_games ``.pth`` files: known by name, so that nobody searches for a damaged download; not read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...errors import UsageError
from ..network import Parts
from ..surroundings import Surroundings
from ..weights import has_entry

NAME = "rl_games"


def recognises(checkpoint: Mapping[str, Any]) -> bool:
    """Whether the checkpoint is rl_games'."""
    return has_entry(checkpoint.get("model"), "a2c_network.")


def read(checkpoint: Mapping[str, Any], around: Surroundings) -> Parts:
    """Refuse, by name."""
    raise UsageError(
        "checkpoints of rl_games are not supported",
        allowed="rsl_rl 2.x to 5.x, skrl 1.4 and 2.x",
        hint="train the task with --backend rsl_rl or --backend skrl",
    )
