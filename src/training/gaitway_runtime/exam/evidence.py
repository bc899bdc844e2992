"""Evidence without simulation: what a policy's answers to small changes of each input say of its conventions.

A policy that follows velocity commands sets its feet where the body goes, and the other way for a command (Raibert's
rule), and it is about as symmetric as its robot. Both hold for the right order of terms and joints alone, and both cost
no more than some calls of the network.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import mujoco
import numpy as np
from numpy.typing import NDArray

from ..tasks.arrays import Array
from ..tasks.robots import RobotSpec
from . import conventions as words
from .conventions import Floats
from .layouts import BLOCK, Arrangement

_STEP = 0.1
"""Change of an input."""
_CHANNELS = (0, 1, 5)
"""Components of a velocity that a robot is told: vx and vy of three, wz of three."""
_TURNED = (-1.0, 1.0, -1.0)
"""What a left-right mirror does to an angular velocity."""
_MIRRORED, _CLIMBED = 60, 10
"""Layouts whose symmetry is measured, and layouts whose joint order is then improved by swaps."""
_NEAR = 8
"""Orders of joints that are kept for one layout."""
_MOST_PAIRS = 8
"""Mirrored pairs of joints of which every choice is tried."""


@dataclass(frozen=True, eq=False)
class RobotFacts:
    """What a robot's build says of any policy that walks it."""

    template: Array
    """Answer of each joint to vx, vy, wz by Raibert's rule, (J, 3), any unit."""
    mirror: NDArray[np.int64]
    """Joint in whose place each joint stands in a left-right mirror, (J,)."""
    sign: Array
    """Sign of its angle there, (J,)."""


def robot_facts(model: mujoco.MjModel, spec: RobotSpec) -> RobotFacts:
    """Return what a robot's build says, at its default pose."""
    data = mujoco.MjData(model)
    data.qpos[3] = 1.0
    for name, angle in zip(spec.joint_names, spec.default_joint_pos, strict=True):
        data.qpos[model.joint(name).qposadr[0]] = angle
    mujoco.mj_forward(model, data)
    dofs = [int(model.joint(name).dofadr[0]) for name in spec.joint_names]
    template = np.zeros((len(dofs), 3))
    for foot in spec.contact_bodies["feet"]:
        jacobian = np.zeros((3, model.nv))
        mujoco.mj_jacBody(model, data, jacobian, None, model.body(foot).id)
        ahead, aside, _ = data.body(foot).xpos - data.body(spec.base).xpos
        moves = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [-aside, ahead, 0.0]]).T
        template += np.linalg.pinv(jacobian[:, dofs], rcond=0.05) @ moves
    mirror = next((each for each in spec.mirrors if each.name == "left-right"), None)
    pairs = mirror.joints if mirror else [(joint, 1) for joint in range(len(dofs))]
    return RobotFacts(
        template=template,
        mirror=np.array([joint for joint, _ in pairs]),
        sign=np.array([float(sign) for _, sign in pairs]),
    )


@dataclass(frozen=True)
class Upright:
    """What a policy may see of a robot that stands: the sign of gravity, or the order of a quaternion's numbers."""

    gravity: float = -1.0
    order: str = "wxyz"


STANDING = Upright()
"""What is usual."""


@dataclass(frozen=True, eq=False)
class Reading:
    """One layout and order of joints, with how well the policy's answers fit them."""

    arrangement: Arrangement
    joints: tuple[int, ...]
    """Robot's joint of each action."""
    upright: Upright
    """What the policy was taken to see of a robot that stands."""
    fit: float
    """Likeness to Raibert's rule less the asymmetry; 1 is perfect."""


class PolicyAnswers:
    """Answers of a policy, measured once for each state and reused.

    Args:
        act: The policy.
        inputs: Its inputs.
        facts: The robot.
    """

    def __init__(self, act: Callable[[Floats], Floats], inputs: int, facts: RobotFacts) -> None:
        self._act, self._inputs, self._facts = act, inputs, facts
        self._measured: dict[tuple[tuple[int, float], ...], Array] = {}

    def answers(self, held: tuple[tuple[int, float], ...]) -> Array:
        """Return the change of every output for a unit of every input, (A, W), for a robot that stands.

        Args:
            held: Inputs that are not zero then, with their values.
        """
        key = held
        if key not in self._measured:
            base = np.zeros(self._inputs, np.float32)
            for place, value in held:
                base[place] = value
            steps = _STEP * np.eye(self._inputs, dtype=np.float32)
            both = self._act(np.concatenate([base + steps, base - steps])).astype(np.float64)
            above, below = np.split(both, 2)
            self._measured[key] = (above - below).T / (2 * _STEP)
        return self._measured[key]

    def frame(self, arrangement: Arrangement, upright: Upright, yaw: float = 0.0) -> Array:
        """Return the answers to one frame, (A, width): a change that all frames of the history show.

        Args:
            arrangement: Where each term lies.
            upright: What the policy sees of a robot that stands.
            yaw: Where it faces [rad].
        """
        flat = arrangement.flat
        whole = self.answers(_held(arrangement, flat, upright, yaw))
        return np.stack([whole[:, places].sum(axis=1) for places in flat], axis=1)

    def read(
        self, arrangements: Iterable[Arrangement], *, keep: int, over: Callable[[], bool] = lambda: False
    ) -> list[Reading]:
        """Return the layouts and joint orders that fit best, the best first.

        Args:
            arrangements: Layouts to look at, the usual ones first.
            keep: How many to return.
            over: Whether there is no time for more layouts.
        """
        rough: list[tuple[float, Arrangement, Upright, Array]] = []
        for arrangement in arrangements:
            if rough and over():
                break
            for upright in uprights(arrangement.terms):
                answers = self.frame(arrangement, upright)
                likeness = self._likeness(arrangement, answers)
                if likeness is None:
                    continue
                total = _assignment(likeness)[0] + _opposed(arrangement, answers)
                rough.append((total, arrangement, upright, likeness))
        rough.sort(key=lambda entry: -entry[0])
        better = [
            (self.fit(arrangement, _assignment(likeness)[1], upright), arrangement, upright, likeness)
            for _, arrangement, upright, likeness in rough[:_MIRRORED]
        ]
        better.sort(key=lambda entry: -entry[0])
        found: list[Reading] = []
        for _, arrangement, upright, likeness in better[:_CLIMBED]:
            found += self._climb(arrangement, upright, likeness)
        found.sort(key=lambda reading: -reading.fit)
        return _distinct(found, keep)

    def fit(
        self, arrangement: Arrangement, joints: Sequence[int] | NDArray[np.int64], upright: Upright = STANDING
    ) -> float:
        """Return how well one layout and joint order fit; see :class:`Reading`."""
        answers = self.frame(arrangement, upright)
        likeness = self._likeness(arrangement, answers)
        order = np.array(joints)
        alike = 0.0 if likeness is None else float(likeness[np.arange(len(order)), order].sum())
        return alike - 2.0 * self._asymmetry(arrangement, answers, order, upright)

    def turns(self, reading: Reading, quantity: str) -> bool:
        """Whether a policy that sees where it faces takes a velocity for one of the world's frame.

        Of a robot that faces sideways, a velocity of the world is answered as one of the base is that was turned back;
        a velocity of the base is answered as ever.

        Args:
            reading: Layout and joint order.
            quantity: The velocity.
        """
        arrangement = reading.arrangement
        if quantity not in arrangement.terms or not {words.ORIENTATION, words.EULER} & set(arrangement.terms):
            return False
        start = arrangement.starts[arrangement.terms.index(quantity)]
        ahead, aside = (self.frame(arrangement, reading.upright, yaw)[:, start : start + 2] for yaw in (0.0, np.pi / 2))
        # A quarter turn to the left: the world's y is ahead, its x is to the right.
        world = np.stack([-ahead[:, 1], ahead[:, 0]], axis=1)
        return float(np.linalg.norm(aside - world)) < float(np.linalg.norm(aside - ahead))

    def _likeness(self, arrangement: Arrangement, answers: Array) -> Array | None:
        """Return how alike each action's answers are to each joint's by Raibert's rule, (A, J)."""
        rows, wanted = [], []
        starts = dict(zip(arrangement.terms, arrangement.starts, strict=True))
        template = self._facts.template
        for term, sign in ((words.LIN_VEL, 1.0), (words.COMMAND, -1.0)):
            if term in starts:
                rows += [answers[:, starts[term]], answers[:, starts[term] + 1]]
                wanted += [sign * template[:, 0], sign * template[:, 1]]
        for term, sign in ((words.ANG_VEL, 1.0), (words.COMMAND, -1.0)):
            if term in starts:
                rows.append(answers[:, starts[term] + 2])
                wanted.append(sign * template[:, 2])
        if not rows:
            return None
        found, expected = np.stack(rows, axis=1), np.stack(wanted, axis=1)
        found = found / np.maximum(np.linalg.norm(found, axis=0), 1e-9)
        expected = expected / np.maximum(np.linalg.norm(expected, axis=0), 1e-9)
        likeness: Array = found @ expected.T / len(rows)
        return likeness

    def _asymmetry(
        self, arrangement: Arrangement, answers: Array, joints: NDArray[np.int64], upright: Upright
    ) -> float:
        """Return how far the answers are from symmetric under a mirror: 0 is symmetric, about 1 is random."""
        place = np.argsort(joints)
        rows = answers[place]
        mirror, sign = self._facts.mirror, self._facts.sign
        off, total = 0.0, 0.0
        for term, start in zip(arrangement.terms, arrangement.starts, strict=True):
            if term in (words.HEIGHT_SCAN, words.CLOCK):
                continue
            if term == BLOCK:
                block = rows[:, start : start + len(joints)][:, place]
                turned = block[mirror][:, mirror] * sign[:, None] * sign
            else:
                reflected = _reflected(term, upright)
                block = rows[:, start : start + len(reflected)]
                turned = block[mirror] * sign[:, None] * reflected
            size = float((block**2).sum())
            if size > 1e-12:
                off += float(((turned - block) ** 2).sum()) / (2 * size)
                total += 1.0
        return off / max(total, 1.0)

    def _climb(self, arrangement: Arrangement, upright: Upright, likeness: Array) -> list[Reading]:
        """Return the best order of joints and those that fit almost as well, by swaps from the best assignment."""
        answers = self.frame(arrangement, upright)

        def fit(order: NDArray[np.int64]) -> float:
            alike = float(likeness[np.arange(len(order)), order].sum())
            return alike - 2.0 * self._asymmetry(arrangement, answers, order, upright)

        order = _assignment(likeness)[1]
        best, seen = fit(order), {tuple(order): fit(order)}
        for _ in range(3 * len(order)):
            options = {tuple(other): fit(other) for other in _swapped(order, self._facts.mirror)}
            seen |= options
            chosen = max(options, key=options.__getitem__)
            if options[chosen] <= best + 1e-9:
                break
            best, order = options[chosen], np.array(chosen)
        seen |= {tuple(other): fit(other) for other in _sides_changed(order, self._facts.mirror)}
        near = sorted(seen.items(), key=lambda item: -item[1])[:_NEAR]
        return [Reading(arrangement, joints, upright, value) for joints, value in near if value > best - 0.25]


def _swapped(order: NDArray[np.int64], mirror: NDArray[np.int64]) -> Iterable[NDArray[np.int64]]:
    """Yield an order of joints with two of them swapped, or two pairs of mirrored ones."""
    places = np.argsort(order)
    for a, b in itertools.combinations(range(len(order)), 2):
        other = order.copy()
        other[[a, b]] = other[[b, a]]
        yield other
        c, d = places[mirror[order[a]]], places[mirror[order[b]]]
        if len({a, b, int(c), int(d)}) == 4:
            both = other.copy()
            both[[c, d]] = both[[d, c]]
            yield both


def _sides_changed(order: NDArray[np.int64], mirror: NDArray[np.int64]) -> Iterable[NDArray[np.int64]]:
    """Yield an order of joints with every choice of mirrored pairs swapped: a mirror hardly tells left from right."""
    pairs = [(joint, int(other)) for joint, other in enumerate(mirror) if joint < other][:_MOST_PAIRS]
    for chosen in itertools.product((False, True), repeat=len(pairs)):
        swap = np.arange(len(order))
        for (a, b), swapped in zip(pairs, chosen, strict=True):
            if swapped:
                swap[[a, b]] = b, a
        yield swap[order]


def _assignment(likeness: Array) -> tuple[float, NDArray[np.int64]]:
    """Return the order of joints that is most alike in all, and its likeness."""
    from scipy.optimize import linear_sum_assignment

    rows, columns = linear_sum_assignment(-likeness)
    return float(likeness[rows, columns].sum()), np.asarray(columns, np.int64)


def _opposed(arrangement: Arrangement, answers: Array) -> float:
    """Return how far the policy answers a velocity and its command the opposite way, about 0 to 1."""
    starts = dict(zip(arrangement.terms, arrangement.starts, strict=True))
    pairs = [(words.ANG_VEL, 2)] + [(words.LIN_VEL, axis) for axis in (0, 1)]
    found = []
    for term, axis in pairs:
        if term in starts and words.COMMAND in starts:
            a, b = answers[:, starts[term] + axis], answers[:, starts[words.COMMAND] + axis]
            found.append(-float(a @ b) / max(float(np.linalg.norm(a) * np.linalg.norm(b)), 1e-9))
    return float(np.mean(found)) if found else 0.0


def _reflected(term: str, upright: Upright) -> Array:
    """Return the signs of a vector's, an orientation's or angles' numbers in a left-right mirror."""
    if term == words.ORIENTATION:
        return np.array((*_TURNED, 1.0) if upright.order == "xyzw" else (1.0, *_TURNED))
    if term in (words.ANG_VEL, words.EULER):
        return np.array(_TURNED)
    if term == words.ROLL_PITCH:
        return np.array(_TURNED[:2])
    return np.array((1.0, -1.0, -1.0) if term == words.COMMAND else (1.0, -1.0, 1.0))


def uprights(terms: Sequence[str]) -> tuple[Upright, ...]:
    """Return what a policy of some terms may see of a robot that stands."""
    if words.ORIENTATION in terms:
        return (Upright(), Upright(order="xyzw"))
    return (Upright(), Upright(gravity=1.0)) if words.GRAVITY in terms else (Upright(),)


def _held(
    arrangement: Arrangement, flat: list[list[int]], upright: Upright, yaw: float
) -> tuple[tuple[int, float], ...]:
    """Return the inputs that are not zero for a robot that stands and faces somewhere, with their values."""
    numbers: list[tuple[int, float]] = []
    for term, start in zip(arrangement.terms, arrangement.starts, strict=True):
        if term == words.GRAVITY:
            numbers.append((start + 2, upright.gravity))
        elif term == words.ORIENTATION:
            real, vertical = (3, 2) if upright.order == "xyzw" else (0, 3)
            numbers += [(start + real, float(np.cos(yaw / 2))), (start + vertical, float(np.sin(yaw / 2)))]
        elif term == words.EULER:
            numbers.append((start + 2, yaw))
    return tuple((place, value) for number, value in numbers if value for place in flat[number])


def _distinct(readings: list[Reading], keep: int) -> list[Reading]:
    """Return the first readings that differ in layout, order or history, not in what stands for upright alone."""
    found: dict[tuple[Arrangement, tuple[int, ...]], Reading] = {}
    for reading in readings:
        found.setdefault((reading.arrangement, reading.joints), reading)
        if len(found) == keep:
            break
    return list(found.values())
