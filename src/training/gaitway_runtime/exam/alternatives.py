"""Alternatives to conventions: what else a policy may take for granted, one thing at a time."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ..tasks.robots import RobotSpec
from . import conventions as words
from .conventions import Conventions, ExamTerm
from .labels import (
    CLOCK,
    FRAMES,
    GAINS,
    GRAVITY,
    HISTORY,
    JOINTS,
    ORDER,
    POSE,
    SCALE,
    SCAN,
    SHOWN,
    UNITS,
    known_orders,
    numbers,
)

_SCALES = (0.1, 0.125, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.75, 1.0, 1.5, 2.0)
"""Action scales that projects use [rad]."""
_SHIFTS = (-0.2, -0.1, 0.1, 0.2)
"""Shifts of a kind of joint's default position [rad]."""
_FACTORS: Mapping[str, tuple[tuple[float, ...], ...]] = {
    words.LIN_VEL: ((1.0,), (2.0,), (0.5,)),
    words.ANG_VEL: ((1.0,), (0.25,), (0.2,)),
    words.COMMAND: ((1.0,), (2.0, 2.0, 0.25), (2.0,), (0.5,)),
    words.JOINT_VEL: ((1.0,), (0.05,), (0.1,)),
    words.JOINT_POS: ((1.0,), (0.5,), (2.0,)),
    words.HEIGHT_SCAN: ((1.0,), (5.0,), (0.2,)),
}
"""Scales of observations that projects use."""
_PERIODS = (0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.2)
_AXES_DOWN = (1.0, -1.0, -1.0)
"""Signs of a frame with x ahead, y right, z down."""


@dataclass(frozen=True)
class Alternative:
    """Conventions that differ from others in one convention."""

    convention: str
    label: str
    conventions: Conventions
    also: tuple[str, ...] = ()
    """Other conventions in which they differ, and which may make up for the first."""

    @property
    def differs(self) -> tuple[str, ...]:
        """All conventions in which they differ."""
        return (self.convention, *self.also)

    def of(self, convention: str) -> bool:
        """Whether they differ in a convention."""
        return convention in self.differs


def rivals(found: Conventions, spec: RobotSpec) -> Iterator[Alternative]:
    """Yield what differs from conventions in one thing, or in two that may make up for each other, each once.

    Args:
        found: The conventions.
        spec: The robot.
    """
    seen = {found}
    for option in itertools.chain(alternatives(found, spec, swaps=True), _pairs(found, spec)):
        if option.conventions not in seen:
            seen.add(option.conventions)
            yield option


def _pairs(found: Conventions, spec: RobotSpec) -> Iterator[Alternative]:
    """Yield what differs in two conventions of which one may make up for the other."""
    halves = [(f"scale {factor:g} times", with_scale(found, factor)) for factor in (0.5, 2.0)]
    for label, scaled in halves:
        for first, options in (
            (POSE, _pose_bases(scaled, spec)),
            (SHOWN, _shown(scaled)),
            (GAINS, _gains(scaled, spec)),
        ):
            for other, option in options:
                yield Alternative(SCALE, f"{label}, {first} {other}", option, also=(first,))
    for label, posed in _pose_bases(found, spec):
        for other, option in _shown(posed):
            yield Alternative(POSE, f"{label}, last action {other}", option, also=(SHOWN,))
    for label, turned in _gravities(found):
        alike = {term.quantity for term in turned.terms} == {term.quantity for term in found.terms}
        for frame, quantity in FRAMES.items() if alike else ():
            for other, option in _frames(turned, quantity):
                yield Alternative(GRAVITY, f"{label}, {words.NAMES[quantity]}: {other}", option, also=(frame,))


def with_scale(found: Conventions, factor: float) -> Conventions:
    """Return conventions with another action scale."""
    return dataclasses.replace(found, action_scale=tuple(factor * value for value in found.action_scale))


def alternatives(found: Conventions, spec: RobotSpec, *, swaps: bool) -> Iterator[Alternative]:
    """Yield everything that differs from conventions in one thing.

    Args:
        found: The conventions.
        spec: The robot.
        swaps: Whether joints are swapped one with another too, not only whole orders tried.
    """
    for convention, options in (
        (ORDER, _term_orders(found)),
        (JOINTS, _joint_orders(found, spec, swaps=swaps)),
        (SCALE, _action_scales(found, spec)),
        (POSE, _poses(found, spec)),
        (GRAVITY, _gravities(found)),
        *((frame, _frames(found, quantity)) for frame, quantity in FRAMES.items()),
        (UNITS, _units(found)),
        (SHOWN, _shown(found)),
        (HISTORY, _histories(found)),
        (GAINS, _gains(found, spec)),
        (CLOCK, ((f"{period:g} s", dataclasses.replace(found, period=period)) for period in _periods(found))),
        (SCAN, _scans(found)),
    ):
        for label, option in options:
            if option != found:
                yield Alternative(convention, label, option)


def _term_orders(found: Conventions) -> Iterator[tuple[str, Conventions]]:
    """Yield the order with two terms swapped, and each term moved to the front or the end."""
    for a, b in itertools.combinations(range(len(found.terms)), 2):
        terms = list(found.terms)
        terms[a], terms[b] = terms[b], terms[a]
        yield (
            f"{words.NAMES[terms[a].quantity]} and {words.NAMES[terms[b].quantity]} swapped",
            dataclasses.replace(found, terms=tuple(terms)),
        )
    for place, term in enumerate(found.terms):
        others = (*found.terms[:place], *found.terms[place + 1 :])
        yield f"{words.NAMES[term.quantity]} first", dataclasses.replace(found, terms=(term, *others))
        yield f"{words.NAMES[term.quantity]} last", dataclasses.replace(found, terms=(*others, term))


def _joint_orders(found: Conventions, spec: RobotSpec, *, swaps: bool) -> Iterator[tuple[str, Conventions]]:
    for name, order in known_orders(spec):
        yield name, _ordered(found, order)
    kinds = kinds_of(spec)
    for kind, members in kinds.items():
        for moved in itertools.permutations(members):
            if moved != members and (
                len(members) <= 4 or sum(a != b for a, b in zip(moved, members, strict=True)) == 2
            ):
                names = dict(zip(members, moved, strict=True))
                yield f"{kind} otherwise", _ordered(found, tuple(names.get(joint, joint) for joint in found.joints))
    if swaps:
        for a, b in itertools.combinations(range(len(found.joints)), 2):
            swapped = list(found.joints)
            swapped[a], swapped[b] = swapped[b], swapped[a]
            label = f"{spec.joint_names[swapped[a]]} and {spec.joint_names[swapped[b]]} swapped"
            yield label, _ordered(found, tuple(swapped))


def _ordered(found: Conventions, order: tuple[int, ...]) -> Conventions:
    """Return the conventions with another order of joints; each joint keeps its own scale."""
    scale = dict(zip(found.joints, found.action_scale, strict=True))
    return dataclasses.replace(found, joints=order, action_scale=tuple(scale[joint] for joint in order))


def kinds_of(spec: RobotSpec) -> dict[str, tuple[int, ...]]:
    """Return the joints of each kind (hip, thigh, calf) of a robot with such names."""
    found: dict[str, list[int]] = {}
    for number, name in enumerate(spec.joint_names):
        _, _, kind = name.partition("_")
        found.setdefault(kind or name, []).append(number)
    return {kind: tuple(members) for kind, members in found.items() if len(members) > 1}


def _action_scales(found: Conventions, spec: RobotSpec) -> Iterator[tuple[str, Conventions]]:
    count = len(found.action_scale)
    for value in _SCALES:
        yield f"{value:g} rad", dataclasses.replace(found, action_scale=(value,) * count)
    for factor in (0.5, 2.0):
        yield f"{factor:g} times", with_scale(found, factor)
    for kind, members in kinds_of(spec).items():
        if len(members) * 2 < count:
            scale = tuple(
                value * (0.5 if joint in members else 1.0)
                for joint, value in zip(found.joints, found.action_scale, strict=True)
            )
            yield f"half of it for {kind}", dataclasses.replace(found, action_scale=scale)


def _pose_bases(found: Conventions, spec: RobotSpec) -> Iterator[tuple[str, Conventions]]:
    """Yield what joint positions and actions may be measured from."""
    default, zero = spec.default_joint_pos, (0.0,) * len(spec.default_joint_pos)
    for label, observed, used in (
        ("the robot's default", default, default),
        ("zero", zero, zero),
        ("joint positions from zero, actions from the default", zero, default),
        ("joint positions from the default, actions from zero", default, zero),
    ):
        yield label, dataclasses.replace(found, observed_pose=observed, action_pose=used)


def _poses(found: Conventions, spec: RobotSpec) -> Iterator[tuple[str, Conventions]]:
    yield from _pose_bases(found, spec)
    for kind, members in kinds_of(spec).items():
        for shift, part in itertools.product(_SHIFTS, _parts(members)):
            moved = tuple(value + (shift * part.get(joint, 0.0)) for joint, value in enumerate(found.action_pose))
            label = f"{kind} moved by {shift:+g} rad"
            yield label, dataclasses.replace(found, observed_pose=moved, action_pose=moved)


def _parts(members: tuple[int, ...]) -> Iterator[dict[int, float]]:
    """Yield which joints of a kind move together, and which way: all alike, or one half against the other."""
    yield dict.fromkeys(members, 1.0)
    half = len(members) // 2
    yield {joint: 1.0 if number < half else -1.0 for number, joint in enumerate(members)}
    yield {joint: 1.0 if number % 2 == 0 else -1.0 for number, joint in enumerate(members)}
    if len(members) == 4:
        yield dict.fromkeys(members[:2], 1.0)
        yield dict.fromkeys(members[2:], 1.0)
        yield dict.fromkeys(members[::2], 1.0)
        yield dict.fromkeys(members[1::2], 1.0)


def _gravities(found: Conventions) -> Iterator[tuple[str, Conventions]]:
    yield from _orientations(found)
    gravity = found.term(words.GRAVITY)
    if gravity is None:
        return
    yield "the other sign", found.scaled(words.GRAVITY, *(-value for value in gravity.scales))
    down = tuple(a * b for a, b in zip(gravity.scales * (3 // len(gravity.scales)), _AXES_DOWN, strict=True))
    yield "x ahead, y right, z down", found.scaled(words.GRAVITY, *down)
    yield from ((label, _seen_as(found, words.GRAVITY, other)) for label, other in _ANGLES)


_ANGLES = (
    ("roll, pitch, yaw", ExamTerm(quantity=words.EULER)),
    ("roll, pitch, yaw, z down", ExamTerm(quantity=words.EULER, scales=_AXES_DOWN)),
    ("yaw, pitch, roll", ExamTerm(quantity=words.EULER, frame="ypr")),
)
"""What may stand in place of gravity's three numbers."""


def _orientations(found: Conventions) -> Iterator[tuple[str, Conventions]]:
    """Yield what else an orientation, or angles, of as many numbers may be."""
    orientation, angles = found.term(words.ORIENTATION), found.term(words.EULER)
    tilt = found.term(words.ROLL_PITCH)
    if orientation is not None:
        order = "xyzw" if orientation.frame == "xyzw" else "wxyz"
        other = "wxyz" if order == "xyzw" else "xyzw"
        inverse = tuple(-1.0 if axis != "w" else 1.0 for axis in order)
        yield f"as an orientation ({', '.join(other)})", found.with_term(words.ORIENTATION, frame=other)
        if min(orientation.scales) > 0:
            yield "the inverse rotation", found.with_term(words.ORIENTATION, scales=inverse)
        else:
            yield "the rotation", found.with_term(words.ORIENTATION, scales=(1.0,))
    if angles is not None:
        for label, option in _ANGLES:
            yield label, _seen_as(found, words.EULER, option)
        for sign in (1.0, -1.0):
            gravity = ExamTerm(quantity=words.GRAVITY, scales=(sign,))
            yield f"gravity, {-sign:+g} upright", _seen_as(found, words.EULER, gravity)
    if tilt is not None:
        for scales in ((1.0, 1.0), (1.0, -1.0), (-1.0, 1.0), (-1.0, -1.0)):
            yield f"roll, pitch times {numbers(scales)}", found.with_term(words.ROLL_PITCH, scales=scales)


def _seen_as(found: Conventions, quantity: str, other: ExamTerm) -> Conventions:
    """Return conventions that show another quantity of as many numbers, with the history of the first."""
    terms = tuple(
        dataclasses.replace(other, frames=term.frames, newest_first=term.newest_first)
        if term.quantity == quantity
        else term
        for term in found.terms
    )
    return dataclasses.replace(found, terms=terms)


def _frames(found: Conventions, quantity: str) -> Iterator[tuple[str, Conventions]]:
    """Yield the frames and signs that a velocity may have."""
    term = found.term(quantity)
    if term is None:
        return
    for frame in ("base", "world", "heading"):
        yield frame, found.with_term(quantity, frame=frame)
    yield "the other sign", found.scaled(quantity, *(-value for value in term.scales))
    down = tuple(a * b for a, b in zip(term.scales * (3 // len(term.scales)), _AXES_DOWN, strict=True))
    yield "x ahead, y right, z down", found.scaled(quantity, *down)


def _units(found: Conventions) -> Iterator[tuple[str, Conventions]]:
    for quantity, options in _FACTORS.items():
        if found.term(quantity) is not None:
            for scales in options:
                yield f"{words.NAMES[quantity]} {numbers(scales)}", found.scaled(quantity, *scales)
    if found.term(words.JOINT_VEL):
        legged_gym = found.scaled(words.ANG_VEL, 0.25).scaled(words.JOINT_VEL, 0.05)
        legged_gym = legged_gym.scaled(words.COMMAND, 2.0, 2.0, 0.25).scaled(words.LIN_VEL, 2.0)
        yield "legged_gym's", legged_gym
        yield "unitree_rl_lab's", found.scaled(words.ANG_VEL, 0.2).scaled(words.JOINT_VEL, 0.05)


def _shown(found: Conventions) -> Iterator[tuple[str, Conventions]]:
    scale = found.action_scale[0]
    for value, label in ((1.0, "raw output"), (scale, "as a target"), (0.5, "halved"), (2.0, "doubled")):
        yield label, dataclasses.replace(found, shown_scale=value)


def _histories(found: Conventions) -> Iterator[tuple[str, Conventions]]:
    if found.stacked > 1:
        yield "the other order", dataclasses.replace(found, stacked_newest_first=not found.stacked_newest_first)
        terms = tuple(dataclasses.replace(term, frames=found.stacked) for term in found.terms)
        yield "term by term", dataclasses.replace(found, terms=terms, stacked=1)
    elif found.terms[0].frames > 1:
        terms = tuple(dataclasses.replace(term, newest_first=not term.newest_first) for term in found.terms)
        yield "the other order", dataclasses.replace(found, terms=terms)
        frames = found.terms[0].frames
        plain = tuple(dataclasses.replace(term, frames=1, newest_first=False) for term in found.terms)
        yield "frame by frame", dataclasses.replace(found, terms=plain, stacked=frames)


def _gains(found: Conventions, spec: RobotSpec) -> Iterator[tuple[str, Conventions]]:
    if spec.actuator != "implicit_pd":
        return
    stiffness, damping = found.stiffness or spec.stiffness, found.damping or spec.damping
    for p, d in ((1.0, 1.0), (0.5, 1.0), (2.0, 1.0), (0.5, 0.5), (2.0, 2.0), (1.0, 0.5), (1.0, 2.0)):
        option = dataclasses.replace(
            found,
            stiffness=tuple(p * value for value in stiffness),
            damping=tuple(d * value for value in damping),
        )
        if (p, d) != (1.0, 1.0):
            yield f"stiffness times {p:g}, damping times {d:g}", option


def _periods(found: Conventions) -> tuple[float, ...]:
    return _PERIODS if found.term(words.CLOCK) else ()


def _scans(found: Conventions) -> Iterator[tuple[str, Conventions]]:
    """Yield the other order of a height scan's points: alike on flat ground."""
    scan = found.term(words.HEIGHT_SCAN)
    if scan is not None:
        other = "x" if scan.frame == "y" else "y"
        yield f"{other} fastest", found.with_term(words.HEIGHT_SCAN, frame=other if other == "y" else "base")
