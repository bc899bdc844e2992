"""Adapter between a policy's contract and that of the simulator that plays it, matched by name.

A policy that was trained in another simulator has its own order of terms and joints, its own scales and its own
default pose. :func:`adapt` turns the two contracts into two fixed affine maps: what the simulator observes into what
the policy expects, and what the policy answers into what the simulator takes.

A term's value is ``scale * clip(raw - offset)`` and an action's target is ``offset + scale * action``, as in Isaac Lab.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..spec import catalog
from ..spec.contract import RELATIVE_TERMS, ObservationTerm, PolicyContract, Robot
from ..spec.errors import UsageError, nearest

LAST_ACTION_TERMS = ("actions", "last_action")
"""Terms that show the policy its own previous output."""


FRAMES = {"base", "world"}
"""Frames that a term's values can be compared in."""

_DEGREE = math.pi / 180
_OTHERS = {
    ("deg", "rad"): _DEGREE,
    ("deg/s", "rad/s"): _DEGREE,
    ("rpm", "rad/s"): math.pi / 30,
    ("mm", "m"): 1e-3,
    ("cm", "m"): 1e-2,
    ("cm/s", "m/s"): 1e-2,
    ("km/h", "m/s"): 1 / 3.6,
}
OTHER_UNITS = frozenset(other for other, _ in _OTHERS)
"""Units that are not of the SI, and that robots do not measure in."""
UNIT_FACTORS = {
    pair: factor
    for (other, unit), ratio in _OTHERS.items()
    for pair, factor in (((other, unit), ratio), ((unit, other), 1 / ratio))
}
"""Factor from the first unit to the second."""


@dataclass(frozen=True, eq=False)
class AffineMap:
    """``clip(x[:, index] * gain + bias, low, high)``; each array has an entry for each output."""

    index: NDArray[np.intp]
    gain: NDArray[np.float64]
    bias: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]

    def __call__(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Map a batch, (N, inputs), to (N, outputs)."""
        return np.clip(values[:, self.index] * self.gain + self.bias, self.low, self.high).astype(np.float32)


@dataclass(frozen=True, eq=False)
class Adapter:
    """How a policy of one contract runs in a simulator of another."""

    observe: AffineMap
    """The simulator's observations to the policy's."""
    act: AffineMap
    """The policy's actions to the simulator's."""
    stiffness: tuple[float, ...] | None
    """The policy's own gains in the simulator's joint order [N m/rad]; None where its contract has none."""
    damping: tuple[float, ...] | None
    """As ``stiffness`` [N m s/rad]."""
    differences: tuple[str, ...]
    """What no map makes up for (rates, gains, limits, conventions), a sentence each."""


@dataclass(frozen=True)
class _Joint:
    """One entry of an action vector."""

    name: str
    kind: str
    column: int
    scale: float
    offset: float


@dataclass(frozen=True)
class _Entry:
    """One entry of the policy's input: ``scale * clip(gain * here[column] + bias)``."""

    column: int
    gain: float
    bias: float
    low: float
    high: float


def adapt(home: PolicyContract, here: PolicyContract) -> Adapter:
    """Match a policy's contract with a simulator's, by the names of terms and joints.

    Args:
        home: The contract that the policy was trained under.
        here: The contract of the simulator that shall run it.

    Raises:
        UsageError: The simulator lacks a term or a joint of the policy's, one has another size, or an action means
            another quantity or is in another unit; the error names it.
    """
    for term in home.actions:
        if term.units.strip() in OTHER_UNITS:
            raise UsageError(
                f"the policy's action {term.name} is in {term.units}", source=f"contract: actions.{term.name}.units"
            )
    entries = [entry for term in home.observations for entry in _observe(term, home, here)]
    return Adapter(
        observe=AffineMap(
            np.array([entry.column for entry in entries], dtype=np.intp),
            np.array([entry.gain for entry in entries]),
            np.array([entry.bias for entry in entries]),
            np.array([entry.low for entry in entries]),
            np.array([entry.high for entry in entries]),
        ),
        act=_act(home, here),
        stiffness=_gains(home.robot, here.robot, "stiffness"),
        damping=_gains(home.robot, here.robot, "damping"),
        differences=tuple(_differences(home, here)),
    )


def _observe(term: ObservationTerm, home: PolicyContract, here: PolicyContract) -> Iterator[_Entry]:
    """Yield an entry for each value of one of the policy's terms."""
    ours = here.observation(term.name)
    if ours is None:
        close = nearest(term.name, [found.name for found in here.observations], 1)
        raise UsageError(
            f"the policy observes {term.name} ({term.stop - term.start} values), which this simulator does not offer",
            source=f"contract of {home.task or 'the policy'}",
            allowed=", ".join(found.name for found in here.observations),
            hint=f"is it called {close} here?" if close else None,
        )
    if ours.stop - ours.start != term.stop - term.start:
        raise UsageError(
            f"the policy's term {term.name} has {term.stop - term.start} values, here it has {ours.stop - ours.start}",
            source=f"contract of {home.task or 'the policy'}",
        )
    factor = _unit_factor(term, ours)
    if term.name in LAST_ACTION_TERMS:
        yield from _observe_last_action(term, ours, home, here)
        return
    order = _order(term, ours)
    offsets, our_offsets = _offsets(term, home.robot), _offsets(ours, here.robot)
    for number, source in enumerate(order):
        bias = factor * our_offsets[source] - offsets[number]
        yield _entry(term, number, ours, source, gain=factor, bias=bias)


def _unit_factor(term: ObservationTerm, ours: ObservationTerm) -> float:
    """Return what turns the simulator's unit into the policy's.

    Raises:
        UsageError: The two are no units of the same quantity, or the values are of two frames.
    """
    frames = [part.frame.split(",")[0].strip() for part in (term, ours)]
    if frames[0] != frames[1] and set(frames) <= FRAMES:
        raise UsageError(
            f"the policy's term {term.name} is measured in frame '{frames[0]}', here in '{frames[1]}'",
            source=f"contract: observations.{term.name}.frame",
        )
    theirs, mine = term.units.strip(), ours.units.strip()
    if not theirs or not mine or theirs == mine:
        return 1.0
    if (mine, theirs) in UNIT_FACTORS:
        return UNIT_FACTORS[mine, theirs]
    if {theirs, mine} <= {unit for pair in UNIT_FACTORS for unit in pair} | {"m", "m/s", "rad", "rad/s"}:
        raise UsageError(
            f"the policy's term {term.name} is in {theirs}, here it is in {mine}",
            source=f"contract: observations.{term.name}.units",
            allowed=f"{mine}, or a unit of the same quantity",
        )
    return 1.0


def _observe_last_action(
    term: ObservationTerm, ours: ObservationTerm, home: PolicyContract, here: PolicyContract
) -> Iterator[_Entry]:
    """Yield what the policy would have put out for the simulator's last action to be what it was."""
    theirs, mine = list(_joints(home)), {joint.name: joint for joint in _joints(here)}
    _check_joints(theirs, mine)
    if len(theirs) != term.stop - term.start:
        raise UsageError(f"the policy's term {term.name} has {term.stop - term.start} values for {len(theirs)} actions")
    for number, joint in enumerate(theirs):
        other = mine[joint.name]
        gain, bias = other.scale / joint.scale, (other.offset - joint.offset) / joint.scale
        yield _entry(term, number, ours, other.column, gain=gain, bias=bias)


def _entry(
    term: ObservationTerm, number: int, ours: ObservationTerm, source: int, *, gain: float, bias: float
) -> _Entry:
    """Undo the simulator's scale, shift to the policy's zero, apply the policy's clip and scale.

    Args:
        term: The policy's term.
        number: The value's place in it.
        ours: The simulator's term.
        source: The value's place in that.
        gain: Between the two, without scales.
        bias: Likewise.
    """
    scale = term.scales[number] if term.scales else term.scale
    our_scale = ours.scales[source] if ours.scales else ours.scale
    if not our_scale or not scale:
        raise UsageError(f"term {ours.name} has scale 0: nothing can be read from it")
    low, high = term.clip if term.clip else (-np.inf, np.inf)
    bounds = sorted((low * scale, high * scale))
    return _Entry(ours.start + source, gain * scale / our_scale, bias * scale, bounds[0], bounds[1])


def _order(term: ObservationTerm, ours: ObservationTerm) -> list[int]:
    """Return, for each value of the policy's term, its place in the simulator's."""
    size = term.stop - term.start
    if not term.joint_names or not ours.joint_names:
        return list(range(size))
    joints, places = term.joint_names, {name: number for number, name in enumerate(ours.joint_names)}
    if len(joints) * term.history != size:
        raise UsageError(f"the policy's term {term.name} has {size} values for {len(joints)} joints")
    missing = [name for name in joints if name not in places]
    if missing:
        raise _no_joint(missing[0], places)
    width = len(places)
    return [step * width + places[name] for step in range(term.history) for name in joints]


def _offsets(term: ObservationTerm, robot: Robot) -> list[float]:
    """Return what is subtracted from each value of a term."""
    size = term.stop - term.start
    if term.offset:
        return [*term.offset] * (size // len(term.offset))
    if term.name in RELATIVE_TERMS and robot.default_joint_pos:
        pose = dict(zip(robot.joint_names, robot.default_joint_pos, strict=True))
        joints = term.joint_names or robot.joint_names
        return [pose.get(name, 0.0) for name in joints] * (size // len(joints))
    return [0.0] * size


def _joints(contract: PolicyContract) -> Iterator[_Joint]:
    """Yield the entries of a contract's action vector."""
    for term in contract.actions:
        for number, name in enumerate(term.joint_names):
            yield _Joint(name, term.kind, term.start + number, term.scale[number], term.offset[number])


def _check_joints(theirs: Iterable[_Joint], ours: Mapping[str, _Joint]) -> None:
    """Check that the same joints are driven, in the same way."""
    driven = {joint.name for joint in theirs}
    idle = [name for name in ours if name not in driven]
    if idle:
        raise UsageError(f"this simulator drives joint {idle[0]}, for which the policy has no action")
    for joint in theirs:
        if joint.name not in ours:
            raise _no_joint(joint.name, ours)
        if ours[joint.name].kind != joint.kind:
            raise UsageError(
                f"the policy's action for {joint.name} is a {joint.kind}, here it is a {ours[joint.name].kind}"
            )
        if not joint.scale or not ours[joint.name].scale:
            raise UsageError(f"the action scale of {joint.name} is 0")


def _act(home: PolicyContract, here: PolicyContract) -> AffineMap:
    """Map to the action that gives the simulator the target which the policy means."""
    theirs, ours = {joint.name: joint for joint in _joints(home)}, list(_joints(here))
    _check_joints(theirs.values(), {joint.name: joint for joint in ours})
    sources = [theirs[joint.name] for joint in ours]
    size = len(ours)
    return AffineMap(
        np.array([source.column for source in sources], dtype=np.intp),
        np.array([source.scale / joint.scale for source, joint in zip(sources, ours, strict=True)]),
        np.array([(source.offset - joint.offset) / joint.scale for source, joint in zip(sources, ours, strict=True)]),
        np.full(size, -np.inf),
        np.full(size, np.inf),
    )


def _gains(home: Robot, here: Robot, name: str) -> tuple[float, ...] | None:
    """Return the policy's gains in the simulator's joint order.

    Zeros everywhere are what Isaac Lab writes for an actuator that is no PD controller: they count as none.
    """
    values = getattr(home, name)
    if not values or not any(values):
        return None
    by_joint = dict(zip(home.joint_names, values, strict=True))
    return tuple(by_joint[joint] for joint in here.joint_names) if set(here.joint_names) <= set(by_joint) else None


def _differences(home: PolicyContract, here: PolicyContract) -> Iterator[str]:
    """Yield what differs between the two worlds and no map makes up for."""
    if home.task and catalog.canonical(home.task) != catalog.canonical(here.task):
        yield f"task {home.task} at home, {here.task} here"
    if abs(home.timing.control_dt - here.timing.control_dt) > 1e-9:
        yield f"control period {home.timing.control_dt:g} s at home, {here.timing.control_dt:g} s here"
    if home.timing.action_delay_steps != here.timing.action_delay_steps:
        yield f"action delay {home.timing.action_delay_steps} steps at home, {here.timing.action_delay_steps} here"
    # Not made up for: the policy would see cut actions as its last ones, where at home it sees them as they were.
    bounds = [{term.clip for term in contract.actions if term.clip} for contract in (home, here)]
    if bounds[0] != bounds[1]:
        yield f"targets cut off at {_bounds(bounds[0])} at home, at {_bounds(bounds[1])} here"
    for name in ("stiffness", "damping", "armature", "effort_limits"):
        yield from _joint_difference(home.robot, here.robot, name)
    if home.robot.actuator != here.robot.actuator:
        yield f"actuator {home.robot.actuator or 'unknown'} at home, {here.robot.actuator or 'unknown'} here"
    for name in sorted(set(home.conventions) & set(here.conventions)):
        if name != "notes" and home.conventions[name] != here.conventions[name]:
            yield f"convention {name}: {home.conventions[name]} at home, {here.conventions[name]} here"


def _bounds(clips: Iterable[tuple[float, float]]) -> str:
    return " and ".join(f"{low:g} to {high:g}" for low, high in sorted(clips)) or "no bound"


def _joint_difference(home: Robot, here: Robot, name: str) -> Iterator[str]:
    """Yield a sentence where a joint property is another; the joint with the largest difference stands for all."""
    theirs = dict(zip(home.joint_names, getattr(home, name), strict=False))
    ours = dict(zip(here.joint_names, getattr(here, name), strict=False))
    apart = {joint: abs(theirs[joint] - ours[joint]) for joint in theirs if joint in ours}
    worst = max(apart, key=lambda joint: apart[joint], default=None)
    if worst is not None and apart[worst] > 1e-6 * max(1.0, abs(ours[worst])):
        yield f"{name.replace('_', ' ')} of {worst}: {theirs[worst]:g} at home, {ours[worst]:g} here"


def _no_joint(name: str, known: Iterable[str]) -> UsageError:
    close = nearest(name, known, 1)
    return UsageError(
        f"the policy names joint {name}, which this simulator's robot does not have",
        allowed=", ".join(known),
        hint=f"is it called {close} here?" if close else None,
    )
