"""Conventions that are tried first: those that a reading of the policy's answers leaves open."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator, Sequence

from ..tasks.robots import RobotSpec
from . import conventions as words
from .conventions import Conventions, ExamTerm
from .evidence import Reading, Upright
from .layouts import BLOCK, Arrangement


def openings(
    reading: Reading, world: Collection[str], scales: Sequence[float], spec: RobotSpec
) -> Iterator[Conventions]:
    """Yield the conventions that a reading leaves open: which joint block is which, and the order of frames.

    Args:
        reading: Layout, joint order and what stands for upright.
        world: Velocities that the policy takes for those of the world's frame.
        scales: Action scales of the robot's own task, in its order of joints [rad].
        spec: The robot.
    """
    arrangement = reading.arrangement
    orders = (False, True) if arrangement.frames > 1 else (False,)
    for blocks, newest in itertools.product(itertools.permutations(words.PER_JOINT), orders):
        yield Conventions(
            terms=_terms(arrangement, blocks, newest, reading.upright, world),
            joints=reading.joints,
            action_scale=tuple(scales[joint] for joint in reading.joints),
            action_pose=spec.default_joint_pos,
            observed_pose=spec.default_joint_pos,
            stacked=arrangement.frames if arrangement.per_frame else 1,
            stacked_newest_first=newest and arrangement.per_frame,
        )


def _terms(
    arrangement: Arrangement, blocks: tuple[str, ...], newest: bool, upright: Upright, world: Collection[str]
) -> tuple[ExamTerm, ...]:
    """Return an arrangement's terms, its blocks named, the velocities in their frames."""
    names = iter(blocks)
    frames = 1 if arrangement.per_frame else arrangement.frames
    found = []
    for term in arrangement.terms:
        quantity = next(names) if term == BLOCK else term
        scales = (-upright.gravity,) if quantity == words.GRAVITY else (1.0,)
        frame = upright.order if quantity == words.ORIENTATION else "world" if quantity in world else "base"
        found.append(
            ExamTerm(quantity=quantity, scales=scales, frame=frame, frames=frames, newest_first=newest and frames > 1)
        )
    return tuple(found)


_STARTS = 3
"""Conventions from which single ones are changed."""


def diverse(ranked: Sequence[Conventions]) -> list[Conventions]:
    """Return the best of some ranked conventions, and the best of other poses and orders of joints."""
    found = list(ranked[:1])
    for each in ranked[1:]:
        if len(found) < _STARTS and all(
            (each.joints, each.observed_pose, each.action_pose)
            != (other.joints, other.observed_pose, other.action_pose)
            for other in found
        ):
            found.append(each)
    return found
