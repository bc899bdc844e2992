"""Layouts of an input vector: which terms, in which order, with which history, its length admits."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from . import conventions as words
from .conventions import size_of

MOST_FRAMES = 30
"""Longest history that is looked for; walk-these-ways has 30 frames."""
BLOCK = "per joint"
"""Stands for joint positions, joint velocities or the last action, which a mirror treats alike."""

TERM_SETS: tuple[tuple[str, ...], ...] = (
    (words.LIN_VEL, words.ANG_VEL, words.GRAVITY, words.COMMAND),
    (words.ANG_VEL, words.GRAVITY, words.COMMAND),
    (words.GRAVITY, words.COMMAND),
    (words.LIN_VEL, words.ANG_VEL, words.ORIENTATION, words.COMMAND),
    (words.ANG_VEL, words.ORIENTATION, words.COMMAND),
    (words.LIN_VEL, words.ANG_VEL, words.EULER, words.COMMAND),
    (words.ANG_VEL, words.EULER, words.COMMAND),
    (words.LIN_VEL, words.ANG_VEL, words.ROLL_PITCH, words.COMMAND),
    (words.ANG_VEL, words.ROLL_PITCH, words.COMMAND),
    (words.ANG_VEL, words.GRAVITY, words.COMMAND, words.CLOCK),
    (words.ANG_VEL, words.EULER, words.COMMAND, words.CLOCK),
    (words.LIN_VEL, words.ANG_VEL, words.GRAVITY, words.COMMAND, words.CLOCK),
    (words.LIN_VEL, words.ANG_VEL, words.GRAVITY, words.COMMAND, words.HEIGHT_SCAN),
    (words.ANG_VEL, words.GRAVITY, words.COMMAND, words.HEIGHT_SCAN),
)
"""Terms beside the joints' that policies are known to have, the usual ones first."""


@dataclass(frozen=True)
class Arrangement:
    """Terms of one frame in order, and the history; :data:`BLOCK` stands three times for the joints' terms."""

    terms: tuple[str, ...]
    frames: int
    per_frame: bool
    """Whether whole frames are stacked, instead of each term's history lying together."""
    joints: int

    @cached_property
    def starts(self) -> tuple[int, ...]:
        """Where each term starts in one frame."""
        sizes = [self.size(term) for term in self.terms]
        return (0, *itertools.accumulate(sizes[:-1]))

    def size(self, term: str) -> int:
        """Return the values of one frame of a term."""
        return self.joints if term == BLOCK else size_of(term, self.joints)

    @property
    def width(self) -> int:
        """Values of one frame."""
        return sum(self.size(term) for term in self.terms)

    @cached_property
    def flat(self) -> list[list[int]]:
        """Places of each value of one frame in the input vector, one for each frame of the history."""
        width, found = self.width, []
        for term, start in zip(self.terms, self.starts, strict=True):
            size = self.size(term)
            for value in range(size):
                if self.per_frame:
                    places = [frame * width + start + value for frame in range(self.frames)]
                else:
                    places = [start * self.frames + frame * size + value for frame in range(self.frames)]
                found.append(places)
        return found


def splits(inputs: int, joints: int) -> list[tuple[int, tuple[str, ...]]]:
    """Return how an input vector can be made of frames of known terms: frames, and terms beside the joints'.

    Args:
        inputs: Length of the vector.
        joints: Joints of the robot.
    """
    found = []
    for terms in TERM_SETS:
        width = 3 * joints + sum(size_of(term, joints) for term in terms)
        frames, rest = divmod(inputs, width)
        if rest == 0 and 1 <= frames <= MOST_FRAMES:
            found.append((frames, terms))
    return sorted(found, key=lambda split: split[0])


def arrangements(frames: int, terms: tuple[str, ...], joints: int) -> Iterator[Arrangement]:
    """Yield every order of some terms; a height scan is last, as in every policy that is known.

    Args:
        frames: Frames of history.
        terms: Terms beside the joints'.
        joints: Joints of the robot.
    """
    free = [term for term in terms if term != words.HEIGHT_SCAN]
    last = tuple(term for term in terms if term == words.HEIGHT_SCAN)
    count = len(free) + 3
    for places in itertools.permutations(range(count), len(free)):
        order = [BLOCK] * count
        for place, term in zip(places, free, strict=True):
            order[place] = term
        yield Arrangement((*order, *last), frames, True, joints)
        if frames > 1:
            yield Arrangement((*order, *last), frames, False, joints)
