"""Hazards on hardware: rules over what was measured in simulation, a sentence each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ..evaluation.sweep import Point
from . import conventions as words
from .conventions import Conventions
from .playing import Demands

_SATURATION, _BEYOND, _TREMBLING, _CHANGE = 0.02, 0.02, 0.35, 0.25
_FELL = 0.9
"""Survival below which a condition counts as one that the policy does not stand."""


@dataclass(frozen=True, kw_only=True)
class Hazard:
    """One thing that would give trouble on a robot."""

    what: str
    measured: str
    advice: str


def hazards(found: Conventions | None, demands: Demands, points: Sequence[Point]) -> Iterator[Hazard]:
    """Yield what would give trouble on a robot, the worst first."""
    yield from _of_joints(demands)
    yield from _of_targets(demands)
    yield from _of_strains(points)
    if found is not None:
        yield from _of_observations(found)


def _of_joints(demands: Demands) -> Iterator[Hazard]:
    saturated = [joint for joint in demands.joints if joint.saturated > _SATURATION]
    if saturated:
        worst = max(saturated, key=lambda joint: joint.saturated)
        yield Hazard(
            what="Drives run at their torque limit",
            measured=f"{worst.joint} is at it {worst.saturated:.0%} of the time, {len(saturated)} joints are affected",
            advice="train with a torque penalty, or check the gains",
        )
    fast = [joint for joint in demands.joints if (joint.velocity_use or 0.0) > 1.0]
    if fast:
        worst = max(fast, key=lambda joint: joint.velocity_use or 0.0)
        yield Hazard(
            what="Joints turn faster than their drives can",
            measured=f"{worst.joint} reaches {worst.velocity:.1f} rad/s, {worst.velocity_use:.0%} of its limit",
            advice="train with a velocity limit in the actuator model",
        )
    beyond = [joint for joint in demands.joints if joint.beyond > _BEYOND]
    if beyond:
        worst = max(beyond, key=lambda joint: joint.beyond)
        yield Hazard(
            what="Joints leave their soft limits",
            measured=f"{worst.joint} is beyond them {worst.beyond:.0%} of the time",
            advice="clip the targets, or train with a penalty on joint limits",
        )


def _of_targets(demands: Demands) -> Iterator[Hazard]:
    if demands.trembling > _TREMBLING or demands.target_change > _CHANGE:
        yield Hazard(
            what="Targets tremble",
            measured=f"{demands.trembling:.0%} of their movement is above 10 Hz, "
            f"{demands.target_change:.3f} rad from step to step",
            advice="train with a stronger action rate penalty; a filter on the robot adds delay",
        )


def _of_strains(points: Sequence[Point]) -> Iterator[Hazard]:
    advice = {
        "action delay [steps]": "measure the delay of the robot's loop; train with random delays",
        "observation delay [steps]": "measure the delay of the sensors; train with random delays",
        "push [m/s]": "train with pushes",
        "friction factor": "train with random friction",
        "payload [kg]": "train with random masses",
        "motor strength": "train with random motor strength",
    }
    for axis, text in advice.items():
        failed = [point for point in points if point.axis == axis and (point.survival_rate or 0.0) < _FELL]
        if failed:
            name, _, unit = axis.rstrip("]").partition(" [")
            first = failed[-1] if axis in ("friction factor", "motor strength") else failed[0]
            yield Hazard(
                what=f"It falls at {' '.join(filter(None, (name, first.label, unit)))}",
                measured=f"{1 - (first.survival_rate or 0.0):.0%} of the robots fall",
                advice=text,
            )


def _of_observations(found: Conventions) -> Iterator[Hazard]:
    if found.term(words.LIN_VEL) is not None:
        yield Hazard(
            what="It observes the base's linear velocity, which no sensor of a robot measures",
            measured=f"the policy's {words.NAMES[words.LIN_VEL]}",
            advice="run a state estimator, or train without it",
        )
    if found.term(words.HEIGHT_SCAN) is not None:
        yield Hazard(
            what="It observes the heights of the ground",
            measured=f"the policy's {words.NAMES[words.HEIGHT_SCAN]}",
            advice="the robot needs an elevation map",
        )
