"""Rewards in a job's progress reports, by iteration. Standard library only."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from .files import PROGRESS_FILE


def rewards_in(outputs: Path) -> dict[int, float]:
    """Return the mean reward by the number of iterations done, as far as a job's outputs report it."""
    rewards: dict[int, float] = {}
    with suppress(OSError, UnicodeDecodeError):
        for line in (outputs / PROGRESS_FILE).read_text(encoding="utf-8").splitlines():
            with suppress(ValueError, KeyError, TypeError):
                values = json.loads(line)
                rewards[int(values["iteration"])] = float(values["reward"])
    return rewards


def reward_at(rewards: Mapping[int, float], iteration: int | None) -> float | None:
    """Return the reward that was reported nearest to a checkpoint, whose number counts from zero."""
    if iteration is None or not rewards:
        return None
    return rewards[min(rewards, key=lambda done: abs(done - 1 - iteration))]
