"""Mirror maps: what the policy of a left-right and front-back symmetric robot should do in the mirror."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...base import Mirror, SignedPermutation
from ..mdp.observations import SCAN_X, SCAN_Y
from ..models.anymal_c import SPEC
from ..observing import CRITIC, POLICY
from .cfg import Observation, Task


@dataclass(frozen=True)
class _Axes:
    """How a mirror acts on the building blocks of a quadruped's observations; legs are LF, LH, RF, RH."""

    legs: tuple[int, int, int, int]
    vector: tuple[int, int, int]
    """Signs of a vector's components."""
    joints: tuple[int, int, int]
    """Signs of HAA, HFE and KFE."""


_MIRRORS = {
    "left-right": _Axes(legs=(2, 3, 0, 1), vector=(1, -1, 1), joints=(-1, 1, 1)),
    "front-back": _Axes(legs=(1, 0, 3, 2), vector=(-1, 1, 1), joints=(1, -1, -1)),
    "both": _Axes(legs=(3, 2, 1, 0), vector=(-1, -1, 1), joints=(-1, -1, -1)),
}


def mirrors(task: Task) -> tuple[Mirror, ...]:
    """Return the mirrors of a task, none for a robot that has none."""
    if task.robot != SPEC.name:
        return ()
    return tuple(_mirror(name, axes, task) for name, axes in _MIRRORS.items())


def _mirror(name: str, axes: _Axes, task: Task) -> Mirror:
    joints = _joints(axes)
    groups = {POLICY: task.observations, CRITIC: (*task.observations, *task.training.privileged)}
    return Mirror(
        name=name,
        observations={group: _joined([_term(term, axes, joints) for term in terms]) for group, terms in groups.items()},
        actions=joints,
    )


def _term(term: Observation, axes: _Axes, joints: SignedPermutation) -> SignedPermutation:
    x, y, z = axes.vector
    if term.per_joint:
        return joints
    by_name = {
        "base_lin_vel": _signs(x, y, z),
        "base_ang_vel": _signs(*_rotation(axes.vector)),
        "projected_gravity": _signs(x, y, z),
        "velocity_commands": _signs(x, y, _rotation(axes.vector)[2]),
        "foot_air_time": _legs(axes),
        "foot_contact_time": _legs(axes),
        "foot_contact": _legs(axes),
        "base_height": _signs(1),
        "height_scan": _scan(axes.vector),
    }
    return by_name[term.name]


def _rotation(vector: tuple[int, int, int]) -> tuple[int, int, int]:
    """Signs of an axial vector: the determinant of the mirror times those of a plain one."""
    x, y, z = vector
    return (y * z, x * z, x * y)


def _signs(*signs: int) -> SignedPermutation:
    return SignedPermutation(np.arange(len(signs)), np.array(signs, np.float32))


def _legs(axes: _Axes) -> SignedPermutation:
    return SignedPermutation(np.array(axes.legs), np.ones(4, np.float32))


def _scan(vector: tuple[int, int, int]) -> SignedPermutation:
    """The height scan's grid has x running fastest; a mirror turns its axes around."""
    grid = np.arange(len(SCAN_Y) * len(SCAN_X)).reshape(len(SCAN_Y), len(SCAN_X))
    index = grid[:: vector[1], :: vector[0]].ravel()
    return SignedPermutation(index, np.ones(len(index), np.float32))


def _joints(axes: _Axes) -> SignedPermutation:
    """Joints come kind by kind (HAA, HFE, KFE), leg by leg within a kind."""
    index = np.concatenate([4 * kind + np.array(axes.legs) for kind in range(3)])
    return SignedPermutation(index, np.repeat(np.array(axes.joints, np.float32), 4))


def _joined(parts: list[SignedPermutation]) -> SignedPermutation:
    starts = np.cumsum([0, *(len(part.index) for part in parts)])[:-1]
    return SignedPermutation(
        np.concatenate([start + part.index for start, part in zip(starts, parts, strict=True)]),
        np.concatenate([part.sign for part in parts]),
    )
