"""Experiments on why a policy fails: one suspicion is undone at a time, to see whether it then succeeds.

A suspicion is a contract that differs in one thing from the one the policy came with. Where playing the policy under
it restores what was lost, that one thing is named; nothing is guessed.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from ..policies.adapter import adapt
from ..policies.sessions import checkpoint_session
from ..spec.contract import PolicyContract
from ..spec.errors import UsageError
from .diagnosis import LikelyCause
from .gate import share_within_bounds
from .rollout import run_steps
from .subject import Subject

if TYPE_CHECKING:
    from ..simulators.base import Env

TRIAL_S = 6.0
"""Length of an experiment [s]: long enough for what is wrong to show."""
_RESTORED, _GAIN = 0.9, 0.1
"""Share of the worlds that must do well for a suspicion to count as confirmed, and by how much more than before."""
_CERTAIN = 0.98
"""Share that leaves nothing to look for."""


_SIGNED_TERMS = ("base_lin_vel", "base_ang_vel", "projected_gravity", "velocity_commands")


class _Row(NamedTuple):
    """One entry of the action vector."""

    joint: str
    scale: float
    offset: float


@dataclass(frozen=True)
class Remedy:
    """One suspicion and what would undo it."""

    cause: str
    advice: str
    contract: PolicyContract
    """What the policy's contract would say if the suspicion were right."""


def try_remedies(
    env: Env, subject: Subject, *, seed: int, on_step: Callable[[int, int], None] | None = None
) -> tuple[LikelyCause, ...]:
    """Play the policy under one remedy after another and return those that restore it, the best first.

    Args:
        env: Environment in its evaluation form.
        subject: The policy that failed.
        seed: Seed of every trial.
        on_step: Told ``(steps done, steps to do)`` of each trial; may raise to stop.
    """
    session = checkpoint_session(subject.policy)
    steps = min(env.max_episode_length, round(TRIAL_S / env.step_dt))

    def trial(contract: PolicyContract) -> float:
        actor = replace(subject, adapter=adapt(contract, subject.here)).actor(session)
        rollout = run_steps(env, actor, steps, seed=seed, on_step=on_step)
        return share_within_bounds(env.task, (*rollout.episodes, *rollout.unfinished))

    before = trial(subject.home)
    restored: list[tuple[float, Remedy]] = []
    for remedy in suspicions(subject.home, subject.here):
        share = trial(remedy.contract)
        if share >= max(_RESTORED, before + _GAIN):
            restored.append((share, remedy))
        if share >= _CERTAIN:
            break
    seconds = steps * env.step_dt
    return tuple(
        LikelyCause(
            remedy.cause,
            f"With this undone, {share:.0%} of the environments do well for {seconds:.0f} s; as it came, {before:.0%}.",
            remedy.advice,
        )
        for share, remedy in sorted(restored, key=lambda entry: -entry[0])
    )


def suspicions(home: PolicyContract, here: PolicyContract) -> Iterator[Remedy]:
    """Yield what may be wrong: first what the contracts disagree on, then the usual mistakes."""
    known = [home]
    for remedy in itertools.chain(_disagreements(home, here), _usual_mistakes(home)):
        if remedy.contract not in known and _runs(remedy.contract, here):
            known.append(remedy.contract)
            yield remedy


def _runs(home: PolicyContract, here: PolicyContract) -> bool:
    try:
        adapt(home, here)
    except UsageError:
        return False
    return True


def _disagreements(home: PolicyContract, here: PolicyContract) -> Iterator[Remedy]:
    """Take over, one at a time, what the simulator's own contract says otherwise."""
    order, theirs = _action_joints(here), _action_joints(home)
    moved = [name for name, other in zip(theirs, order, strict=False) if name != other]
    yield Remedy(
        "Wrong joint order in the policy's contract",
        f"Against this simulator's order it has moved {', '.join(moved)}.",
        _renamed(home, order) if len(order) == len(theirs) else home,
    )
    ours = {row.joint: row for row in _rows(here)}
    if set(theirs) <= set(ours):
        scales, offsets = ([ours[name].scale for name in theirs], [ours[name].offset for name in theirs])
        yield Remedy(
            "Wrong action scale in the policy's contract",
            f"It differs from this task's, which is {scales[0]:g} for {theirs[0]}.",
            _with_actions(home, scales=scales),
        )
        yield Remedy(
            "Wrong default pose in the policy's contract",
            "Its action offsets or default joint positions are not this task's.",
            _with_actions(_with_pose(home, here), offsets=offsets),
        )
    for term in home.observations:
        mine = here.observation(term.name)
        if mine is not None and mine.scale != term.scale:
            yield Remedy(
                f"Wrong scale of {term.name} in the policy's contract",
                f"It says {term.scale:g}, this task has {mine.scale:g}.",
                _with_scale(home, term.name, mine.scale),
            )


def _usual_mistakes(home: PolicyContract) -> Iterator[Remedy]:
    """Yield contracts under which the policy may in truth have been trained."""
    rows = _rows(home)
    for name, order in joint_orders(_action_joints(home)):
        yield Remedy(
            f"Wrong joint order: the policy was trained with joints {name}",
            f"Its first joints would be {', '.join(order[:4])}.",
            _reordered(home, order),
        )
    for factor in (0.5, 2.0):
        yield Remedy(
            f"Wrong action scale: {factor:g} times the contract's does it",
            "Compare the action term's scale with the training configuration.",
            _with_actions(home, scales=[factor * row.scale for row in rows]),
        )
    yield Remedy(
        "Wrong action offset: the policy's actions are positions, not offsets from the default pose",
        "Compare use_default_offset with the training configuration.",
        _with_actions(home, offsets=[0.0] * len(rows)),
    )
    for term in home.observations:
        if term.name in _SIGNED_TERMS:
            yield Remedy(
                f"Wrong sign of {term.name}",
                "Look at its frame: base frame, x forward, y left, z up.",
                _with_scale(home, term.name, -term.scale),
            )


def joint_orders(joints: Sequence[str]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield the orders in which simulators list the joints of a legged robot, named ``<leg>_<joint>``."""
    parts = [joint.partition("_") for joint in joints]
    legs = list(dict.fromkeys(leg for leg, _, _ in parts))
    kinds = list(dict.fromkeys(kind for _, _, kind in parts))
    if len(legs) * len(kinds) != len(joints) or len(legs) < 2 or len(kinds) < 2:
        return
    # Side by side or row by row: the second and the third of four legs change places; Unitree's motors start right.
    for around in (legs, [legs[0], *reversed(legs[1:-1]), legs[-1]], [legs[k ^ 1] for k in range(len(legs) & ~1)]):
        if len(around) != len(legs):
            continue
        text = ", ".join(around)
        yield f"leg by leg ({text})", tuple(f"{leg}_{kind}" for leg in around for kind in kinds)
        yield f"kind by kind ({text})", tuple(f"{leg}_{kind}" for kind in kinds for leg in around)


def _renamed(contract: PolicyContract, order: tuple[str, ...]) -> PolicyContract:
    """Return the contract with other names on the same places: the values were right, the names were not."""
    return replace(
        _with_order(contract, order),
        robot=replace(contract.robot, joint_names=_named(contract.robot.joint_names, order)),
    )


def _reordered(contract: PolicyContract, order: tuple[str, ...]) -> PolicyContract:
    """Return the contract with its joints in another order; each joint keeps its own scale and offset."""
    rows = {row.joint: row for row in _rows(contract)}
    return _with_actions(
        _with_order(contract, order),
        scales=[rows[name].scale for name in order],
        offsets=[rows[name].offset for name in order],
    )


def _with_order(contract: PolicyContract, order: tuple[str, ...]) -> PolicyContract:
    observations = (replace(term, joint_names=_named(term.joint_names, order)) for term in contract.observations)
    actions = (
        replace(term, joint_names=tuple(order[place] for place in range(term.start, term.stop)))
        for term in contract.actions
    )
    return replace(contract, observations=tuple(observations), actions=tuple(actions))


def _named(names: tuple[str, ...], order: tuple[str, ...]) -> tuple[str, ...]:
    """Return ``order`` in place of names of the same joints, anything else as it is."""
    return order if sorted(names) == sorted(order) else names


def _with_actions(
    contract: PolicyContract, *, scales: Sequence[float] | None = None, offsets: Sequence[float] | None = None
) -> PolicyContract:
    """Return the contract with other action scales or offsets, one for each action."""
    terms = []
    for term in contract.actions:
        place = slice(term.start, term.stop)
        terms.append(
            replace(
                term,
                scale=tuple(scales[place]) if scales else term.scale,
                offset=tuple(offsets[place]) if offsets else term.offset,
            )
        )
    return replace(contract, actions=tuple(terms))


def _with_pose(contract: PolicyContract, here: PolicyContract) -> PolicyContract:
    pose = dict(zip(here.robot.joint_names, here.robot.default_joint_pos, strict=True))
    observed = {joint for term in contract.observations for joint in term.joint_names}
    if not {*contract.robot.joint_names, *observed} <= set(pose):
        return contract
    default = tuple(pose[name] for name in contract.robot.joint_names)
    observations = (
        replace(term, offset=tuple(pose[joint] for joint in term.joint_names) * term.history)
        if term.quantity == "joint_position" and term.joint_names and any(term.offset)
        else term
        for term in contract.observations
    )
    robot = replace(contract.robot, default_joint_pos=default)
    return replace(contract, observations=tuple(observations), robot=robot)


def _with_scale(contract: PolicyContract, name: str, scale: float) -> PolicyContract:
    terms = (replace(term, scale=scale) if term.name == name else term for term in contract.observations)
    return replace(contract, observations=tuple(terms))


def _rows(contract: PolicyContract) -> list[_Row]:
    return [
        _Row(*values)
        for term in contract.actions
        for values in zip(term.joint_names, term.scale, term.offset, strict=True)
    ]


def _action_joints(contract: PolicyContract) -> tuple[str, ...]:
    return tuple(row.joint for row in _rows(contract))
