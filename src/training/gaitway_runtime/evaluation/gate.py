"""Gate of a task: when a policy may be called validated, and how sure that is."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass

from ..spec.catalog import Gate, SuccessRule, Threshold, find
from ..spec.result import GateVerdict
from ..tasks.velocity import follows_commands
from .metrics import RolloutMetrics, finite
from .rollout import Ending, Episode, Rollout

CONFIDENCE = 0.95
_Z = 1.959963984540054
"""Standard normal quantile of a two-sided 95 % interval."""


MOST_LOST = 0.1
"""Share of episodes that may be lost to the simulation in a verdict that is to count."""

_UNKNOWN = Gate(success_rate=0.7)
"""Gate of a task that is not registered."""
_TIME_OUT = SuccessRule(sentence="the episode times out")


@dataclass(frozen=True)
class BoundCheck:
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
    checks: tuple[BoundCheck, ...]
    reasons: tuple[str, ...]
    """What failed, a sentence each; empty on a pass."""

    def document(self) -> dict[str, object]:
        """Return the verdict as JSON values."""
        document: dict[str, object] = finite({**dataclasses.asdict(self), "confidence": CONFIDENCE})
        return document


def judge(
    task: str, episodes: Sequence[Episode], metrics: RolloutMetrics, *, success_threshold: float | None = None
) -> Verdict:
    """Judge evaluated episodes by their task's gate.

    Args:
        task: Task name; for one that is not registered see :func:`rule_of`.
        episodes: Ended episodes.
        metrics: Metrics of the same rollout, for the bounds over all episodes.
        success_threshold: Share of successes that passes; the task's own when None.
    """
    gate = gate_of(task)
    required = gate.success_rate if success_threshold is None else success_threshold
    counted = [episode for episode in episodes if episode.ending is not Ending.DIVERGED]
    rule = rule_of(task, counted)
    count = sum(is_success(episode, rule) for episode in counted)
    rate = count / len(counted) if counted else None
    low, high = wilson_interval(count, len(counted)) if counted else (None, None)
    checks = tuple(_check(threshold, metrics) for threshold in gate.thresholds)
    lost = _lost(len(episodes) - len(counted), len(episodes))
    reasons = (*lost, *_unmeasured(rule, counted), *_reasons(rate, required, checks))
    return Verdict(
        passed=not reasons,
        criterion=rule.sentence,
        successes=count,
        episodes=len(counted),
        success_rate=rate,
        confidence_low=low,
        confidence_high=high,
        success_threshold=required,
        checks=checks,
        reasons=reasons,
    )


@dataclass(frozen=True)
class Assessment:
    """Verdict of a task's gate on a rollout that was not played for it, and why."""

    verdict: GateVerdict
    reasons: tuple[str, ...] = ()


def assess(task: str, rollout: Rollout, metrics: RolloutMetrics) -> Assessment:
    """Return what a rollout of any length shows of a task's gate.

    Episodes of full length are judged as a validation judges them. Of shorter ones only failures count: enough of them
    settle that the gate is not met, none of them that it is.
    """
    if find(task) is None:
        return Assessment(GateVerdict.NOT_JUDGED, (f"task {task} has no gate here",))
    required = gate_of(task).success_rate
    survival = metrics.survival_rate
    if survival is not None and survival < required:
        return Assessment(
            GateVerdict.NOT_MET, (f"{1 - survival:.0%} of the episodes failed, {required:.0%} must succeed",)
        )
    if rollout.steps < rollout.max_episode_length:
        return Assessment(
            GateVerdict.NOT_JUDGED,
            (
                f"{rollout.steps} steps were played of episodes of {rollout.max_episode_length}: "
                "--gate plays them whole, gaitway validate judges more of them",
            ),
        )
    verdict = judge(task, rollout.episodes, metrics)
    return Assessment(GateVerdict.MET if verdict.passed else GateVerdict.NOT_MET, verdict.reasons)


def worst(assessments: Sequence[Assessment]) -> Assessment:
    """Return the assessment that holds for several forms of one policy; not judged where there is none."""
    for verdict in (GateVerdict.NOT_MET, GateVerdict.NOT_JUDGED, GateVerdict.MET):
        found = next((each for each in assessments if each.verdict is verdict), None)
        if found is not None:
            return found
    return Assessment(GateVerdict.NOT_JUDGED, ("nothing was played",))


def successes(task: str, episodes: Sequence[Episode]) -> list[bool]:
    """Return for each episode of a task whether it is a success."""
    rule = rule_of(task, episodes)
    return [is_success(episode, rule) for episode in episodes]


def gate_of(task: str) -> Gate:
    """Return a task's gate; of one that is not registered a share of successes alone."""
    info = find(task)
    return info.gate if info else _UNKNOWN


def rule_of(task: str, episodes: Sequence[Episode]) -> SuccessRule:
    """Return the success rule of a task.

    A task that is not registered, but whose environment measures how a velocity command is followed, is judged by that;
    any other by its time-outs alone.
    """
    info = find(task)
    if info is not None:
        return info.success
    following = follows_commands()
    measured = [all(bound.metric in episode.means for bound in following.mean) for episode in episodes]
    return following if measured and all(measured) else _TIME_OUT


def is_success(episode: Episode, rule: SuccessRule) -> bool:
    """Whether an episode timed out with every bounded measurement there and in bounds."""
    return episode.ending is Ending.TIME_OUT and _within_bounds(episode, rule)


def share_within_bounds(task: str, episodes: Sequence[Episode]) -> float:
    """Return the share of episodes, ended or not, that did not fail and are within bounds as far as they went."""
    rule = rule_of(task, episodes)
    good = [
        episode.ending in (Ending.TIME_OUT, Ending.UNFINISHED) and _within_bounds(episode, rule) for episode in episodes
    ]
    return sum(good) / max(1, len(good))


def _within_bounds(episode: Episode, rule: SuccessRule) -> bool:
    over_time = (bound.holds(episode.means.get(bound.metric, math.nan)) for bound in rule.mean)
    at_end = (bound.holds(abs(episode.last.get(bound.metric, math.nan))) for bound in rule.last)
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


def _lost(lost: int, total: int) -> list[str]:
    """Return a reason where more episodes were lost to the simulation than chance explains.

    A policy that throws its robot about makes the physics diverge, and the episodes that are left say little of it.
    """
    if lost <= MOST_LOST * total or lost == total:
        return []
    return [f"{lost} of {total} episodes were lost to a diverged simulation, at most {MOST_LOST:.0%} may be"]


def _check(threshold: Threshold, metrics: RolloutMetrics) -> BoundCheck:
    measured = metrics.value(threshold.metric)
    return BoundCheck(str(threshold), measured, measured is not None and threshold.holds(measured))


def _unmeasured(rule: SuccessRule, episodes: Sequence[Episode]) -> list[str]:
    missing = {
        bound.metric for bound in (*rule.mean, *rule.last) for episode in episodes if bound.metric not in episode.means
    }
    return [f"{metric}, which the criterion asks for, is not measured by this simulator" for metric in sorted(missing)]


def _reasons(rate: float | None, required: float, checks: Sequence[BoundCheck]) -> tuple[str, ...]:
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
