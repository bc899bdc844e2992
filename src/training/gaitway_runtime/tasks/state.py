"""State that the terms of a task read: one control step's quantities of all worlds, as arrays named as in Isaac Lab.

N is the number of worlds, J of joints, A of actions. Joint arrays are in the policy's order. ``_w`` is in the
world frame, ``_b`` in the frame of the robot's base link.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from .arrays import Array
from .terrain import Terrain


def _none() -> Array:
    return np.zeros(0)


@dataclass(slots=True)
class Contact:
    """Contacts of one group of B bodies. A body touches where its net contact force exceeds the threshold."""

    touched: NDArray[np.bool_]
    """Touched in any of the last (at most three) physics steps, (N, B): Isaac Lab's force history."""
    touching: NDArray[np.bool_]
    """Touching in the last physics step, (N, B)."""
    contact_time: Array
    """Time of the contact that lasts [s], (N, B); 0 in the air."""
    air_time: Array
    """Time in the air so far [s], (N, B); 0 in contact."""
    last_air_time: Array
    """Length of the last flight that ended in a contact [s], (N, B)."""
    first_contact: NDArray[np.bool_]
    """Touched down during this control step, (N, B)."""


@dataclass(slots=True)
class State:
    """All worlds after one control step, before any reset (rewards) or after it (observations)."""

    step_dt: float
    default_joint_pos: Array = field(default_factory=_none)
    """[rad] or [m], (J,)."""
    soft_joint_pos_limits: Array = field(default_factory=_none)
    """[rad] or [m], (J, 2)."""

    joint_pos: Array = field(default_factory=_none)
    """[rad] or [m], (N, J)."""
    joint_vel: Array = field(default_factory=_none)
    """[rad/s] or [m/s], (N, J)."""
    joint_acc: Array = field(default_factory=_none)
    """Difference of the velocity over the last physics step, over its length [rad/s^2], (N, J)."""
    applied_torque: Array = field(default_factory=_none)
    """Of each actuator in the last physics step, after limits [N m], (N, A)."""

    root_pos_w: Array = field(default_factory=_none)
    """[m], (N, 3)."""
    root_quat_w: Array = field(default_factory=_none)
    """w, x, y, z, (N, 4)."""
    root_rot_w: Array = field(default_factory=_none)
    """Rotation from the base to the world frame, (N, 3, 3)."""
    root_lin_vel_b: Array = field(default_factory=_none)
    """Velocity of the base's centre of mass, in the base frame [m/s], (N, 3)."""
    root_ang_vel_b: Array = field(default_factory=_none)
    """[rad/s], (N, 3)."""
    projected_gravity_b: Array = field(default_factory=_none)
    """Unit vector, (N, 3)."""
    heading_w: Array = field(default_factory=_none)
    """Direction of the base's x axis in the ground plane [rad], (N,)."""

    scan_joint: int | None = None
    """Index of the joint that turns the height scanner on the base."""

    contacts: dict[str, Contact] = field(default_factory=dict)
    foot_pos_w: Array = field(default_factory=_none)
    """Centres of the feet, before the last physics step [m], (N, feet, 3)."""
    foot_vel_w: Array = field(default_factory=_none)
    """[m/s], (N, feet, 3)."""
    incoming_wrench_b: Array = field(default_factory=_none)
    """Force [N] and torque [N m] of the parent on the link at the joint, in the link's frame, (N, links * 6)."""

    hand_pos: Array = field(default_factory=_none)
    """Position of the end effector in the frame of a base that is fixed to the world [m], (N, 3)."""
    hand_quat: Array = field(default_factory=_none)
    """Its orientation, w, x, y, z, (N, 4)."""

    command: Array = field(default_factory=_none)
    """Velocity command vx, vy [m/s], wz [rad/s] in the base frame, (N, 3); of an arm the pose to reach in the base
    frame, position [m] and quaternion w, x, y, z, (N, 7)."""
    target_distance: Array = field(default_factory=_none)
    """Distance to the far target in the ground plane [m], (N,)."""
    previous_target_distance: Array = field(default_factory=_none)

    terrain: Terrain | None = None
    """The ground, where it is not flat."""
    terrain_level: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    """Difficulty of the ground on which each world's episode began, (N,)."""
    terrain_kind: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    """Index of its kind in ``terrain.KINDS``, (N,)."""

    action: Array = field(default_factory=_none)
    """Raw output of the policy, (N, A)."""
    previous_action: Array = field(default_factory=_none)
    episode_length: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    """Control steps of the episode so far, (N,)."""
    max_episode_length: int = 0
    terminated: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, np.bool_))
    """Ended by a termination that is not the time limit, (N,)."""

    @property
    def scan_heading_w(self) -> Array:
        """Direction of the height scanner in the ground plane [rad], (N,)."""
        return self.heading_w if self.scan_joint is None else self.heading_w + self.joint_pos[:, self.scan_joint]

    def ground_height(self, x: Array, y: Array) -> Array:
        """Return the height of the ground at points [m], of their shape."""
        return np.zeros_like(x) if self.terrain is None else self.terrain.height_at(x, y).astype(np.float64)
