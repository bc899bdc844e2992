"""Pose of an arm's end effector, computed from the positions of its joints.

MuJoCo has it one physics step late, or for the price of half a step: it computes everything else that depends on
positions as well.
"""

from __future__ import annotations

from dataclasses import dataclass

import mujoco
import numpy as np
from numpy.typing import NDArray

from ...tasks.arrays import Array

_NOWHERE, _UPRIGHT = np.zeros(3), np.array([1.0, 0.0, 0.0, 0.0])
_TURNED = ((0, 1, 2, 3), (1, 0, 3, 2), (2, 3, 0, 1), (3, 2, 1, 0))
_SIGNS = np.array([(1, -1, -1, -1), (1, 1, 1, -1), (1, -1, 1, 1), (1, 1, -1, 1)])
"""Rows of a product of quaternions: which entry of the right one, with which sign, goes with each of the left one."""


@dataclass(frozen=True)
class _Moved:
    """A joint of the chain, after what is fixed before it."""

    offset: Array
    """From the last joint, in its frame [m], (3,)."""
    turns: Array
    """Makes of the last joint's quaternion this one's for cosine and sine of half its angle, (8, 4)."""
    axis: Array | None
    """Of a slide, in its own frame, (3,); None for a hinge."""


class LinkChain:
    """The bodies from the world to one of them, each on a hinge, on a slide, or fixed.

    Args:
        model: The compiled model.
        body: Name of the last one.

    Raises:
        ValueError: One of them has several joints, or a free or ball joint.
    """

    def __init__(self, model: mujoco.MjModel, body: str) -> None:
        self._joints: list[_Moved] = []
        addresses: list[int] = []
        self._offset, self._turn = _NOWHERE, _UPRIGHT
        for number in _ancestry(model, model.body(body).id):
            self._fix(model.body_pos[number], model.body_quat[number])
            for joint in range(model.body_jntadr[number], model.body_jntadr[number] + model.body_jntnum[number]):
                kind = int(model.jnt_type[joint])
                if (
                    kind not in (mujoco.mjtJoint.mjJNT_HINGE, mujoco.mjtJoint.mjJNT_SLIDE)
                    or model.body_jntnum[number] > 1
                ):
                    raise ValueError(f"the bodies from the world to {body} need at most a hinge or a slide each")
                addresses.append(int(model.jnt_qposadr[joint]))
                self._move(model.jnt_pos[joint], model.jnt_axis[joint], hinge=kind == mujoco.mjtJoint.mjJNT_HINGE)
        self._addresses = np.array(addresses, np.int64)
        self._reference = model.qpos0[self._addresses]

    def pose(self, qpos: Array) -> tuple[Array, Array]:
        """Return the last body's position [m] and quaternion w, x, y, z in the world frame.

        Args:
            qpos: MuJoCo's positions, (N, nq).

        Returns:
            (N, 3) and (N, 4).
        """
        moved = np.ascontiguousarray((qpos[:, self._addresses] - self._reference).T)
        cosines, sines = np.cos(0.5 * moved), np.sin(0.5 * moved)
        pos, quat = np.zeros((3, len(qpos))), np.zeros((4, len(qpos)))
        quat[0] = 1.0
        for joint, way, cosine, sine in zip(self._joints, moved, cosines, sines, strict=True):
            if joint.offset.any():
                pos += turned(quat, joint.offset)
            both = joint.turns @ quat
            if joint.axis is None:
                quat = cosine * both[:4] + sine * both[4:]
            else:
                quat = both[:4]
                pos += way * turned(quat, joint.axis)
        if self._offset.any():
            pos += turned(quat, self._offset)
        return np.ascontiguousarray(pos.T), np.ascontiguousarray((_right(self._turn) @ quat).T)

    def _fix(self, pos: Array, quat: Array) -> None:
        """Add a fixed displacement and turn."""
        self._offset = self._offset + turned(self._turn[:, None], pos)[:, 0]
        self._turn = _right(quat) @ self._turn

    def _move(self, anchor: NDArray[np.float64], axis: NDArray[np.float64], *, hinge: bool) -> None:
        """Add a joint: about its anchor, or along its axis."""
        still = _right(self._turn)
        if hinge:
            self._fix(anchor, _UPRIGHT)
        turns = np.concatenate((still, _right(np.array([0.0, *axis])) @ still))
        self._joints.append(_Moved(self._offset, turns, None if hinge else axis.copy()))
        self._offset, self._turn = -anchor if hinge else _NOWHERE, _UPRIGHT


def turned(quat: Array, vector: Array) -> Array:
    """Turn one vector, (3,), by unit quaternions, entries first, (4, N); return (3, N)."""
    x, y, z = vector
    across = np.array([(x, y, z), (0.0, z, -y), (-z, 0.0, x), (y, -x, 0.0)]) @ quat[1:]
    found: Array = quat[0] * vector[:, None]
    found += across[1:]
    found *= quat[0]
    found += across[0] * quat[1:]
    found *= 2.0
    found -= vector[:, None]
    return found


def _right(quat: Array) -> Array:
    """Return the matrix, (4, 4), that multiplies a quaternion by this one from the right."""
    return np.array([[quat[_TURNED[row][k]] * _SIGNS[row][k] for k in range(4)] for row in range(4)])


def _ancestry(model: mujoco.MjModel, body: int) -> list[int]:
    """Return a body and those that it hangs from, the first one first, without the world."""
    found = []
    while body:
        found.append(body)
        body = int(model.body_parentid[body])
    return found[::-1]
