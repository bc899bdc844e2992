"""Certainty of an exam about each convention: by its rivals, which are all played, and by how well the robot walks."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..tasks.robots import RobotSpec
from .alternatives import Alternative
from .conventions import Conventions
from .labels import SETTLES, label_of
from .trials import Score

SURE, PROBABLE = 0.10, 0.01
"""Distance of the best rival from which a convention counts as sure, or, where all worlds agree, as probable."""
OUT, OUT_OF_ALL = 0.30, 0.20
"""Distance at which a rival has lost after a short trial already: under two commands, under all eight."""
WELL = 0.85
"""Score below which nothing is sure: a policy does better under its own conventions, so one of these is wrong."""


@dataclass(frozen=True, kw_only=True)
class Decision:
    """One convention that was found, with the next best that was tried."""

    convention: str
    found: str
    score: float
    runner_up: str
    """The best rival: conventions that differ in this one, or in this and another that could make up for it; empty
    where the robot does not walk, and nothing was compared."""
    runner_up_score: float
    rivals: int
    played: int
    """Rivals that there was time to play."""
    sure: str
    """``sure``: every rival was played and lost by :data:`SURE`; ``probable``: what was played lost; ``open``."""
    settles: str
    """What would settle one that is not sure."""

    def document(self) -> dict[str, object]:
        """Return the decision as JSON values."""
        return {
            **dataclasses.asdict(self),
            "score": round(self.score, 3),
            "runner_up_score": round(self.runner_up_score, 3),
        }


@dataclass(frozen=True, kw_only=True)
class Contest:
    """One rival of the conventions that were found, and how far it fell behind."""

    rival: Alternative
    margin: float | None
    """None where there was no time to play it."""
    sure: str
    """As in :class:`Decision`."""
    better: float = 0.0
    """Score of a rival that was played as long as the conventions; 0 of another."""


def decide(
    convention: str, found: Conventions, own: Score, whole: Score, contests: Sequence[Contest], spec: RobotSpec
) -> Decision:
    """Return what is known of one convention.

    Args:
        convention: Its name.
        found: The conventions.
        own: Their score in the worlds in which their rivals were played.
        whole: Their score in more worlds.
        contests: The contests with the rivals that differ in it; at least one.
        spec: The robot.
    """
    played = [contest for contest in contests if contest.margin is not None]
    runner = min(played or contests, key=lambda contest: contest.margin or 0.0)
    sure = _certainty(own, whole, contests)
    return Decision(
        convention=convention,
        found=label_of(convention, found, spec),
        score=own.total,
        runner_up=runner.rival.label,
        runner_up_score=own.total - (runner.margin or 0.0),
        rivals=len(contests),
        played=len(played),
        sure=sure,
        settles=SETTLES[convention] if sure != "sure" else "",
    )


def unknown(convention: str, found: Conventions, own: Score, spec: RobotSpec) -> Decision:
    """Return what is known of a convention under which the robot does not walk: nothing."""
    return Decision(
        convention=convention,
        found=label_of(convention, found, spec),
        score=own.total,
        runner_up="",
        runner_up_score=0.0,
        rivals=0,
        played=0,
        sure="open",
        settles=SETTLES[convention],
    )


def sureness(own: Score, other: Score) -> str:
    """Return how sure it is that one score is better than another, of the same worlds."""
    apart = np.array(own.totals) - np.array(other.totals)
    margin, spread = float(apart.mean()), float(apart.std(ddof=1)) / len(apart) ** 0.5
    if margin >= SURE:
        return "sure"
    return "probable" if margin >= PROBABLE and margin > 2.5 * spread else "open"


def sureness_off_balance(own: Score, other: Score) -> str:
    """Return how sure it is that one score is better than another, of worlds that were kicked.

    Whether a robot stands a kick is chance for a good part: the difference must stand out of the worlds' own.
    """
    apart = np.array(own.totals) - np.array(other.totals)
    margin, spread = float(apart.mean()), float(apart.std(ddof=1)) / len(apart) ** 0.5
    if margin >= SURE and margin > 4.0 * spread:
        return "sure"
    return "probable" if margin >= SURE / 2 and margin > 3.0 * spread else "open"


def _certainty(own: Score, whole: Score, contests: Sequence[Contest]) -> str:
    if not (own.walks and whole.walks):
        return "open"
    each = [contest.sure for contest in contests]
    least = next(word for word in ("open", "probable", "sure") if word in each)
    return "probable" if least == "sure" and min(own.total, whole.total) < WELL else least
