"""Fault that a log shows, and the faults that a fitted relation stands for: order, sign, scale, delay."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from .relation import Relation

SAME_OFFSET = 0.03
"""Offsets within this of each other are the same: joint positions [rad], velocities [m/s, rad/s]."""


@dataclass(frozen=True, kw_only=True)
class LogFault:
    """One difference that was found."""

    kind: str
    """``order``, ``sign``, ``scale``, ``offset``, ``delay``, ``frame``, ``gains``, ``dropped``, ``width``..."""
    where: str
    """What it is in: an observation term, ``actions``, ``targets``, ``drives``, ``time``."""
    cause: str
    """One sentence."""
    evidence: str
    """What was measured."""
    advice: str = ""

    def document(self) -> dict[str, str]:
        """Return the fault as JSON values."""
        return dataclasses.asdict(self)


def relation_faults(name: str, where: str, relation: Relation, labels: tuple[str, ...]) -> Iterator[LogFault]:
    """Yield what a relation shows of order, sign, scale and delay.

    Args:
        name: What the values are, as a subject of a sentence.
        where: Place of the faults.
        relation: Of the logged values to the expected ones.
        labels: Name of each value; empty for values without names.
    """
    evidence = fit_text(relation)
    if relation.reordered:
        moved = [
            f"{_label(labels, place)} holds {_label(labels, source)}"
            for place, source in enumerate(relation.order)
            if place != source and relation.moving[place]
        ]
        yield LogFault(
            kind="order",
            where=where,
            cause=f"{name} is in another order",
            evidence=f"{', '.join(moved[:6])}{' ...' if len(moved) > 6 else ''}; {evidence}",
            advice="the contract's joint_names are the order",
        )
    if len(relation.flipped):
        yield LogFault(
            kind="sign",
            where=where,
            cause=f"{name} has the opposite sign",
            evidence=f"in {', '.join(_label(labels, int(place)) for place in relation.flipped)}; {evidence}",
            advice="check the axes of the sensor or joint",
        )
    if relation.scaled:
        factor = relation.scale
        known = {180 / np.pi: " (degrees for radians)", np.pi / 180: " (radians scaled as degrees)"}
        note = next((text for value, text in known.items() if abs(factor / value - 1) < 0.05), "")
        yield LogFault(
            kind="scale",
            where=where,
            cause=f"{name} is scaled by {factor:.3g}{note}",
            evidence=evidence,
            advice="apply the contract's scale and no other",
        )
    if relation.delay:
        steps = relation.delay
        yield LogFault(
            kind="delay",
            where=where,
            cause=f"{name} is {steps} control step{'s' * (steps > 1)} late",
            evidence=evidence,
            advice="shorten the way from sensor to policy, or train with this delay",
        )


def _label(labels: tuple[str, ...], place: int) -> str:
    return labels[place] if place < len(labels) else f"entry {place}"


def fit_text(relation: Relation) -> str:
    """Return how well a relation explains what was logged."""
    return f"with this, {max(0.0, 1 - relation.residual**2):.1%} of its variance is explained"
