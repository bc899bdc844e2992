"""The gate: when a policy may be called validated, and how sure that is."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..catalog import Gate, Threshold, find
from .metrics import Metrics, finite
from .rollout import Ending, Episode

CONFIDENCE = 0.95
_Z = 1.959963984540054
"""Standard normal quantile of a two-sided 95 % interval."""


@dataclass(frozen=True)
class Family:
    """What one episode must show to be a success, for every task whose name contains ``pattern``.

    A threshold of the task's own gate on the same measurement replaces a family's bound.
    """

    pattern: str
    mean: tuple[Threshold, ...] = ()
    """Over the mean of a measurement in the episode."""
    last: tuple[Threshold, ...] = ()
    """On the magnitude of a measurement at the episode's last step."""


FAMILIES = (
    Family(
        "Velocity", mean=(Threshold("error_vel_xy", "<=", 0.5, "m/s"), Threshold("error_vel_yaw", "<=", 0.5, "rad/s"))
    ),
    Family("Ant", mean=(Threshold("forward_speed", ">=", 3.0, "m/s"),)),
    Family("Humanoid", mean=(Threshold("forward_speed", ">=", 1.0, "m/s"),)),
    Family("Cartpole", last=(Threshold("pole_angle", "<=", 0.2, "rad"), Threshold("cart_position", "<=", 3.0, "m"))),
)
"""Success criteria by task family. A time-out is part of each: an episode that ends in a failure is none.

The pole counts as upright within 0.2 rad (11 degrees); the rail's half length is Isaac Lab's own bound.
"""

_DEFAULT_GATE = Gate("the episode times out")


@dataclass(frozen=True)
class Check:
    """One bound of the gate and what was measured."""

    bound: str
    measured: float | None
    passed: bool


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """Whether a policy passed its task's gate, and why."""

    passed: bool
    criterion: str
    """When an episode is a success, as a sentence."""
    successes: int
    episodes: int
    """Episodes that count; those lost to the simulation are in neither number."""
    success_rate: float | None
    confidence_low: float | None
    confidence_high: float | None
    """Wilson interval of the rate at :data:`CONFIDENCE`."""
    success_threshold: float
    checks: tuple[Check, ...]
    reasons: tuple[str, ...]
    """What failed, a sentence each; empty on a pass."""

    def document(self) -> dict[str, Any]:
        """Return the verdict as JSON values."""
        document: dict[str, Any] = finite({**dataclasses.asdict(self), "confidence": CONFIDENCE})
        return document


def judge(
    task: str, episodes: Sequence[Episode], metrics: Metrics, *, success_threshold: float | None = None
) -> Verdict:
    """Judge evaluated episodes by their task's gate.

    Args:
        task: Task name; a task that the catalog does not list is judged by survival alone.
        episodes: Ended episodes.
        metrics: Metrics of the same rollout, for the bounds over all episodes.
        success_threshold: Share of successes that passes; the task's own when None.
    """
    gate = gate_of(task)
    required = gate.success_rate if success_threshold is None else success_threshold
    counted = [episode for episode in episodes if episode.ending is not Ending.DIVERGED]
    count = sum(successes(task, counted))
    rate = count / len(counted) if counted else None
    low, high = wilson_interval(count, len(counted)) if counted else (None, None)
    checks = tuple(_check(threshold, metrics) for threshold in gate.thresholds)
    reasons = (*_unmeasured(family_of(task), counted), *_reasons(rate, required, checks))
    return Verdict(
        passed=not reasons,
        criterion=gate.success,
        successes=count,
        episodes=len(counted),
        success_rate=rate,
        confidence_low=low,
        confidence_high=high,
        success_threshold=required,
        checks=checks,
        reasons=reasons,
    )


def successes(task: str, episodes: Sequence[Episode]) -> list[bool]:
    """Return for each episode of a task whether it is a success."""
    gate, family = gate_of(task), family_of(task)
    return [is_success(episode, family, gate) for episode in episodes]


def gate_of(task: str) -> Gate:
    """Return a task's gate; survival alone where the catalog does not list the task."""
    info = find(task)
    return info.gate if info else _DEFAULT_GATE


def family_of(task: str) -> Family:
    """Return the success criterion of a task by its family; one that asks for a time-out alone where it has none."""
    return next((family for family in FAMILIES if family.pattern in task), Family(task))


def is_success(episode: Episode, family: Family, gate: Gate) -> bool:
    """Whether an episode meets its family's criterion: timed out, and every bounded measurement there and in bounds."""
    return episode.ending is Ending.TIME_OUT and _within_bounds(episode, family, gate)


def share_within_bounds(task: str, episodes: Sequence[Episode]) -> float:
    """Return the share of episodes, ended or not, that did not fail and are within bounds as far as they went."""
    gate, family = gate_of(task), family_of(task)
    good = [
        episode.ending in (Ending.TIME_OUT, Ending.UNFINISHED) and _within_bounds(episode, family, gate)
        for episode in episodes
    ]
    return sum(good) / max(1, len(good))


def _within_bounds(episode: Episode, family: Family, gate: Gate) -> bool:
    own = {threshold.metric.removeprefix("mean_"): threshold for threshold in gate.thresholds}
    over_time = (own.get(bound.metric, bound).holds(episode.means.get(bound.metric, math.nan)) for bound in family.mean)
    at_end = (bound.holds(abs(episode.last.get(bound.metric, math.nan))) for bound in family.last)
    return all(over_time) and all(at_end)


def wilson_interval(successes: int, trials: int) -> tuple[float, float]:
    """Return the confidence interval of a success rate.

    Wilson's score interval (E. B. Wilson, JASA 22, 1927): unlike the normal one it stays within 0 and 1 and has a
    width at rates of 0 and 1.
    """
    rate = successes / trials
    shrink = 1 + _Z**2 / trials
    centre = (rate + _Z**2 / (2 * trials)) / shrink
    half = _Z * math.sqrt(rate * (1 - rate) / trials + _Z**2 / (4 * trials**2)) / shrink
    # At the ends the bound is the end itself, which the sums above miss by a rounding.
    return centre - half if successes else 0.0, centre + half if successes < trials else 1.0


def _check(threshold: Threshold, metrics: Metrics) -> Check:
    measured = metrics.value(threshold.metric)
    return Check(str(threshold), measured, measured is not None and threshold.holds(measured))


def _unmeasured(family: Family, episodes: Sequence[Episode]) -> list[str]:
    missing = {
        bound.metric
        for bound in (*family.mean, *family.last)
        for episode in episodes
        if bound.metric not in episode.means
    }
    return [f"{metric}, which the criterion asks for, is not measured by this simulator" for metric in sorted(missing)]


def _reasons(rate: float | None, required: float, checks: Sequence[Check]) -> tuple[str, ...]:
    reasons = []
    if rate is None:
        reasons.append("no episode could be judged")
    elif rate < required:
        reasons.append(f"{rate:.0%} of the episodes succeeded, {required:.0%} are required")
    for check in checks:
        if check.measured is None:
            reasons.append(f"{check.bound}: not measured")
        elif not check.passed:
            reasons.append(f"{check.bound}: measured {check.measured:.3g}")
    return tuple(reasons)
