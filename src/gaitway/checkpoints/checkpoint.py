"""A checkpoint as it is listed, before it is fetched."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class ListedCheckpoint:
    """A checkpoint that some run has made."""

    uri: str
    """Its address, ready to paste."""
    run: str
    """Name of the run; MLflow's own where the ledger has none."""
    task: str
    iteration: int | None
    created: str
    """ISO 8601 in UTC."""
    platform: str
    reward: float | None = None
    """Mean reward of the training around that iteration."""
    path: str | None = None
    """The file, where it is on this machine."""
    model: str | None = None
    """``models:/`` address, where it is registered."""


def newest_last(found: Iterable[ListedCheckpoint]) -> list[ListedCheckpoint]:
    """Return checkpoints by age: runs by the time of their last one, a run's own by their iterations."""
    checkpoints = list(found)
    last: dict[tuple[str, str], str] = {}
    for checkpoint in checkpoints:
        last[_run(checkpoint)] = max(last.get(_run(checkpoint), ""), checkpoint.created)
    return sorted(checkpoints, key=lambda each: (last[_run(each)], _run(each), _number(each), each.created))


def latest(found: Iterable[ListedCheckpoint]) -> ListedCheckpoint | None:
    """Return the newest checkpoint."""
    return next(reversed(newest_last(found)), None)


def best(found: Iterable[ListedCheckpoint]) -> ListedCheckpoint | None:
    """Return the checkpoint with the highest reward, the newer one of two; None where no reward is known."""
    known = [checkpoint for checkpoint in newest_last(found) if checkpoint.reward is not None]
    return max(reversed(known), key=lambda checkpoint: checkpoint.reward or 0.0, default=None)


def _run(checkpoint: ListedCheckpoint) -> tuple[str, str]:
    return checkpoint.platform, checkpoint.run


def _number(checkpoint: ListedCheckpoint) -> int:
    return -1 if checkpoint.iteration is None else checkpoint.iteration
