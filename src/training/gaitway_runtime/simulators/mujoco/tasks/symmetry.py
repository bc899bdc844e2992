"""Mirror maps: what the policy of a left-right and front-back symmetric robot should do in the mirror.

A map is a permutation and a sign for every entry, ``mirrored = sign * values[..., index]``; applying one twice
changes nothing. Plain arrays: a learner turns them into its own tensors.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .cfg import Observation, Task


@dataclass(frozen=True)
class MirrorMap:
    """One mirror's effect on a vector."""

    index: NDArray[np.int64]
    sign: NDArray[np.float32]

    def __call__(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return mirrored vectors, (..., size)."""
        return values[..., self.index] * self.sign


@dataclass(frozen=True)
class Mirror:
    """One mirror of a task: its effect on each observation group and on the actions."""

    name: str
    observations: Mapping[str, MirrorMap]
    actions: MirrorMap


@dataclass(frozen=True)
class _Axes:
    """How a mirror acts on the building blocks of a quadruped's observations; legs are LF, LH, RF, RH."""

    legs: tuple[int, int, int, int]
    vector: tuple[int, int, int]
    """Signs of a vector's components; those of a rotation are the opposite."""
    joints: tuple[int, int, int]
    """Signs of HAA, HFE and KFE."""


_MIRRORS = {
    "left-right": _Axes(legs=(2, 3, 0, 1), vector=(1, -1, 1), joints=(-1, 1, 1)),
    "front-back": _Axes(legs=(1, 0, 3, 2), vector=(-1, 1, 1), joints=(1, -1, -1)),
}


def mirrors(task: Task) -> tuple[Mirror, ...]:
    """Return the mirrors of a task, none for a robot that has none."""
    if task.robot != "anymal_c":
        return ()
    return tuple(_mirror(name, axes, task) for name, axes in _MIRRORS.items())


def _mirror(name: str, axes: _Axes, task: Task) -> Mirror:
    joints = _joints(axes)
    groups = {"policy": task.observations, "critic": (*task.observations, *task.training.privileged)}
    return Mirror(
        name=name,
        observations={group: _joined([_term(term, axes, joints) for term in terms]) for group, terms in groups.items()},
        actions=joints,
    )


def _term(term: Observation, axes: _Axes, joints: MirrorMap) -> MirrorMap:
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
        "base_pos_z": _signs(1),
    }
    return by_name[term.name]


def _rotation(vector: tuple[int, int, int]) -> tuple[int, int, int]:
    """Signs of an axial vector: the determinant of the mirror (-1) times those of a plain one."""
    return (-vector[0], -vector[1], -vector[2])


def _signs(*signs: int) -> MirrorMap:
    return MirrorMap(np.arange(len(signs)), np.array(signs, np.float32))


def _legs(axes: _Axes) -> MirrorMap:
    return MirrorMap(np.array(axes.legs), np.ones(4, np.float32))


def _joints(axes: _Axes) -> MirrorMap:
    """Joints come kind by kind (HAA, HFE, KFE), leg by leg within a kind."""
    index = np.concatenate([4 * kind + np.array(axes.legs) for kind in range(3)])
    return MirrorMap(index, np.repeat(np.array(axes.joints, np.float32), 4))


def _joined(parts: list[MirrorMap]) -> MirrorMap:
    starts = np.cumsum([0, *(len(part.index) for part in parts)])[:-1]
    return MirrorMap(
        np.concatenate([start + part.index for start, part in zip(starts, parts, strict=True)]),
        np.concatenate([part.sign for part in parts]),
    )
