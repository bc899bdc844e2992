"""The one stepping core: all worlds of a task on a batch of physics, and the reading of their state.

Every array covers all worlds; nothing here loops over them. Derived quantities that MuJoCo gives only as of
the start of a physics step (contact forces, foot positions) are recorded per physics step; joint and root
quantities are computed from the state after the last one.

What it asks of the physics of many worlds is a :class:`WorldBatch`, MuJoCo's batch engine by default. Another engine
for the same models takes its place with a :class:`Physics` of its own; everything above it stays as it is.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import mujoco
import numpy as np
from mujoco.batch import Batch
from numpy.typing import ArrayLike, NDArray

from ...distributed.group import available_cpus
from ...tasks.arrays import Array
from ...tasks.environment import EnvCfg
from ...tasks.robots import RobotSpec
from ...tasks.state import Contact, State
from .kinematics import LinkChain
from .models import Layout

CONTACT_THRESHOLD = 1.0
"""Net contact force from which a body counts as touching [N]; Isaac Lab's contact sensor."""
CONTACT_HISTORY = 3
"""Physics steps that :attr:`Contact.touched` looks back on, within one control step."""
MAX_SPEED = 1000.0
"""Joint or root speed from which a world counts as diverged [m/s] or [rad/s]; MuJoCo itself waits for 1e10."""

_BOUNDS_OF_GEOMS = ("geom_aabb", "bvh_aabb")
"""Fields of the model that say where MuJoCo looks for a geom's contacts."""

_STATE_WARNINGS = slice(int(mujoco.mjtWarning.mjWARN_BADQPOS), int(mujoco.mjtWarning.mjNWARNING))
"""The warnings that say that a state or an input was not finite."""

_log = logging.getLogger(__name__)

Ids = NDArray[np.int64]


def quieten() -> None:
    """Send what MuJoCo warns of to the log: it prints a line, and writes MUJOCO_LOG.TXT into the folder it is in."""
    mujoco.set_mju_user_warning(_log.debug)


Recorded = Mapping[Any, NDArray[Any]]
"""Arrays (N, steps, size) that a rollout fills in, by the field's name."""


class WorldBatch(Protocol):
    """Physics of N worlds of one model, as ``mujoco.batch.Batch`` offers it."""

    state: Array
    """Everything that the next step depends on, a row for each world, to be read and written."""
    warning: NDArray[Any]
    """Counts of MuJoCo's warnings, (N, warnings, 2), the second of each pair over all time."""

    def bind(self, name: str, /) -> Array:
        """Return an array over a field of ``MjData``, (N, ...); those of the state may be written."""
        ...

    def expand(self, name: str, /) -> Array:
        """Give a field of the model a value for each world, (N, ...), to be written before the next step."""
        ...

    def expanded(self, name: str, /) -> Array | None:
        """Return the values that :meth:`expand` gave the worlds; None where they share the model's."""
        ...

    def set_const(self) -> None:
        """Let what follows from masses and inertias follow from those that were expanded."""
        ...

    def step(self, *, nstep: int) -> None:
        """Advance all worlds by some physics steps."""
        ...

    def rollout(self, nstep: int, /, *, record: Sequence[Any], out: Any) -> object:
        """Advance all worlds and record fields after each physics step into arrays (N, nstep, size)."""
        ...


@dataclass(frozen=True)
class Physics:
    """An engine that steps the embedded simulator's models."""

    simulator: str
    """Name and release, as the policy's contract has it: ``mujoco 4.0.0``."""
    make: Callable[[mujoco.MjModel, int], WorldBatch]
    """Makes the worlds of a model, given their number."""
    check: Callable[[EnvCfg], None] = lambda task: None
    """Raises a UsageError for a task that the engine cannot step."""
    not_restored: str = ""
    """What a saved state lacks for a training to continue bit for bit, as the end of a sentence; empty: nothing."""


def batch_engine(nthread: int = 0) -> Physics:
    """Return MuJoCo's batch engine, on the CPU.

    Args:
        nthread: Threads to step on; 0 for one per available CPU. Results do not depend on it.
    """
    return Physics(f"mujoco {mujoco.__version__}", functools.partial(_batch, nthread=nthread))


def _batch(model: mujoco.MjModel, num_envs: int, nthread: int) -> WorldBatch:
    found: WorldBatch = Batch(model, num_envs, nthread or available_cpus())
    return found


@dataclass(frozen=True)
class Start:
    """States of n worlds at the start of an episode."""

    joint_pos: Array
    """In the policy's order, (n, J)."""
    joint_vel: Array
    root_pose: Array | None = None
    """Position [m] and quaternion w, x, y, z of a floating base, (n, 7)."""
    root_vel: Array | None = None
    """MuJoCo's: velocity of the origin, world frame, and angular velocity, base frame, (n, 6)."""


class Engine:
    """All worlds of one robot.

    Args:
        model: The compiled model.
        spec: What is known of the robot beside it.
        batch: The physics of its worlds, N.
        decimation: Physics steps per control step.
    """

    def __init__(self, model: mujoco.MjModel, spec: RobotSpec, batch: WorldBatch, decimation: int) -> None:
        quieten()  # else a line for each world that diverges
        self.model, self.spec, self.decimation = model, spec, decimation
        self.batch = batch
        self.qpos: Array = self.batch.bind("qpos")
        self.qvel: Array = self.batch.bind("qvel")
        self.ctrl: Array = self.batch.bind("ctrl")
        self.layout = Layout.of(model, spec)
        num_envs = len(self.qpos)
        self.base_com = np.zeros((num_envs, 3))
        """Centre of mass of each world's base, in the base frame [m]."""
        if spec.base:
            self.base_com[:] = model.body(spec.base).ipos
        self._actuator_force: Array = self.batch.bind("actuator_force")
        self._sensordata: Array = self.batch.bind("sensordata")
        self._hand = LinkChain(model, spec.end_effector) if spec.end_effector else None
        self._records = self._make_records(num_envs) if spec.contact_bodies else {}
        self._start = self.batch.state[0].copy()
        self._warnings = self.batch.warning[:, _STATE_WARNINGS, 1]
        self._warned = np.zeros(num_envs, self._warnings.dtype)

    def attach(self, state: State) -> None:
        """Give the state its arrays for this robot and fill in its constants."""
        spec, count = self.spec, len(self.qpos)
        limits = np.array([self.model.joint(name).range for name in spec.joint_names])
        limited = np.array([bool(self.model.joint(name).limited[0]) for name in spec.joint_names])
        limits[~limited] = (-np.inf, np.inf)
        state.default_joint_pos = np.array(spec.default_joint_pos)
        state.soft_joint_pos_limits = soft_limits(limits, spec.soft_limit_factor)
        state.scan_joint = spec.joint_names.index(spec.scan_joint) if spec.scan_joint else None
        state.contacts = {
            group: _no_contact(count, len(bodies), timed=group == "feet")
            for group, bodies in spec.contact_bodies.items()
        }
        state.applied_torque = self._actuator_force
        state.hand_pos, state.hand_quat = np.zeros((count, 3)), np.zeros((count, 4))
        state.incoming_wrench_b = np.zeros((count, 6 * len(spec.wrench_bodies)))
        self.read_motion(state)

    def set_gains(self, stiffness: ArrayLike, damping: ArrayLike) -> None:
        """Give every position actuator its gains, in the order of the robot's joints: (J,), or (N, J) of each world."""
        self.batch.expand("actuator_gainprm")[:, :, 0] = stiffness
        bias = self.batch.expand("actuator_biasprm")
        bias[:, :, 1], bias[:, :, 2] = -np.asarray(stiffness), -np.asarray(damping)

    def update_constants(self) -> None:
        """Let what follows from masses and inertias follow from each world's, and nothing else change."""
        self.batch.set_const()
        for name in _BOUNDS_OF_GEOMS:
            if self.batch.expanded(name) is not None:
                # MuJoCo works them out again from where geoms were compiled, which columns of ground have left.
                self.batch.expand(name)[:] = getattr(self.model, name)

    def external_wrench(self) -> Array:
        """Return the force [N] and torque [N m] on each world's base, world frame, (N, 6), to be written."""
        wrench: Array = self.batch.bind("xfrc_applied").reshape(len(self.qpos), -1, 6)
        return wrench[:, self.model.body(self.spec.base).id]

    def advance(self, state: State) -> NDArray[np.bool_]:
        """Step all worlds for one control step and read their state; return which of them diverged, (N,)."""
        if self._records:
            at_start = self.qvel.copy() if self.decimation == 1 else None
            self.batch.rollout(self.decimation, record=tuple(self._records), out=self._records)
            before_last = self._records["qvel"][:, -2] if at_start is None else at_start
            state.joint_acc = (self.qvel - before_last)[:, self.layout.joint_dof] / self.model.opt.timestep
            self._read_contacts(state)
        else:
            self.batch.step(nstep=self.decimation)
        self.read_motion(state)
        if self.spec.wrench_bodies:
            state.incoming_wrench_b[:] = self._sensordata[:, self.layout.wrench]
        return self._diverged()

    def read_motion(self, state: State) -> None:
        """Read joint, root and hand quantities of all worlds from the present state."""
        state.joint_pos = self.qpos[:, self.layout.joint_qpos]
        state.joint_vel = self.qvel[:, self.layout.joint_dof]
        if self.spec.base:
            root = root_motion(self.qpos, self.qvel, self.base_com)
            for name, value in root.items():
                setattr(state, name, value)
        if self._hand:
            state.hand_pos, state.hand_quat = self._hand.pose(self.qpos)

    def read_motion_of(self, state: State, ids: Ids) -> None:
        """Read joint, root and hand quantities of some worlds, after their state was written."""
        qpos, qvel = self.qpos[ids], self.qvel[ids]
        state.joint_pos[ids] = qpos[:, self.layout.joint_qpos]
        state.joint_vel[ids] = qvel[:, self.layout.joint_dof]
        if self.spec.base:
            for name, value in root_motion(qpos, qvel, self.base_com[ids]).items():
                getattr(state, name)[ids] = value
        if self._hand:
            state.hand_pos[ids], state.hand_quat[ids] = self._hand.pose(qpos)

    def restart(self, state: State, ids: Ids, start: Start) -> None:
        """Put worlds into a new state, with nothing of their past (warm start, contacts) left."""
        self.batch.state[ids] = self._start
        rows = ids[:, None]
        self.qpos[rows, self.layout.joint_qpos] = start.joint_pos
        self.qvel[rows, self.layout.joint_dof] = start.joint_vel
        if start.root_pose is not None:
            self.qpos[ids, :7] = start.root_pose
            self.qvel[ids, :6] = start.root_vel
        for contact in state.contacts.values():
            for name in contact.__slots__:
                getattr(contact, name)[ids] = 0
        if self.spec.wrench_bodies:
            state.incoming_wrench_b[ids] = 0.0
        self.read_motion_of(state, ids)

    def close(self) -> None:
        """Release the threads and the worlds, which every array on them would keep alive."""
        del self.batch, self.qpos, self.qvel, self.ctrl, self._actuator_force, self._sensordata, self._warnings

    def _make_records(self, num_envs: int) -> dict[str | int | mujoco.mjtState, NDArray[np.float64]]:
        return {
            "qvel": np.zeros((num_envs, self.decimation, self.model.nv)),
            "sensordata": np.zeros((num_envs, self.decimation, self.model.nsensordata)),
        }

    def _read_contacts(self, state: State) -> None:
        recorded = self._records["sensordata"]
        count, steps, _ = recorded.shape
        squares = np.square(recorded[:, :, : 3 * self.layout.num_contacts])
        touching = squares[:, :, 0::3] + squares[:, :, 1::3] + squares[:, :, 2::3] > CONTACT_THRESHOLD**2
        touched = touching[:, -1]
        for step in range(max(0, steps - CONTACT_HISTORY), steps - 1):
            touched = touched | touching[:, step]
        for group, columns in self.layout.contact.items():
            contact = state.contacts[group]
            contact.touched = touched[:, columns]
            contact.touching = touching[:, -1, columns]
        if "feet" in state.contacts:
            time_contacts(state.contacts["feet"], touching[:, :, self.layout.contact["feet"]], self.model.opt.timestep)
            feet = recorded[:, -1, self.layout.foot].reshape(count, -1, 2, 3)
            state.foot_pos_w, state.foot_vel_w = feet[:, :, 0], feet[:, :, 1]

    def _diverged(self) -> NDArray[np.bool_]:
        """Return which worlds are not finite or move too fast, (N,); asked of all at once first, for speed."""
        diverged = np.zeros(len(self.qvel), np.bool_)
        # Negated, so that a speed that is not a number counts too.
        if not np.abs(self.qvel).max() <= MAX_SPEED:
            diverged |= ~(np.abs(self.qvel).max(axis=1) <= MAX_SPEED)
        if self._warnings.sum() != self._warned.sum():
            warned = self._warnings.sum(axis=1)
            diverged |= warned != self._warned
            self._warned = warned
        return diverged


def root_motion(qpos: Array, qvel: Array, base_com: Array) -> dict[str, Array]:
    """Return the root quantities of :class:`State` for free joints that come first in ``qpos`` and ``qvel``.

    MuJoCo gives the velocity of the body's origin in the world frame and the angular velocity in the body's own; Isaac
    Lab's base velocity is that of the centre of mass, in the base frame: ``R^T v + w x c``.

    Args:
        qpos: (n, nq).
        qvel: (n, nv).
        base_com: Centre of mass in the base frame [m], (n, 3).
    """
    rot = rotation(qpos[:, 3:7])
    vx, vy, vz = qvel[:, 0], qvel[:, 1], qvel[:, 2]
    ang_vel = qvel[:, 3:6].copy()
    wx, wy, wz = ang_vel.T
    cx, cy, cz = base_com.T
    lin_vel = np.empty_like(ang_vel)
    lin_vel[:, 0] = rot[0, 0] * vx + rot[1, 0] * vy + rot[2, 0] * vz + wy * cz - wz * cy
    lin_vel[:, 1] = rot[0, 1] * vx + rot[1, 1] * vy + rot[2, 1] * vz + wz * cx - wx * cz
    lin_vel[:, 2] = rot[0, 2] * vx + rot[1, 2] * vy + rot[2, 2] * vz + wx * cy - wy * cx
    return {
        "root_pos_w": qpos[:, 0:3].copy(),
        "root_quat_w": qpos[:, 3:7].copy(),
        "root_rot_w": rot.transpose(2, 0, 1),
        "root_lin_vel_b": lin_vel,
        "root_ang_vel_b": ang_vel,
        "projected_gravity_b": -rot[2].T,
        "heading_w": np.arctan2(rot[1, 0], rot[0, 0]),
    }


def rotation(quat: Array) -> Array:
    """Return the rotation matrices of unit quaternions (w, x, y, z), (n, 4), entries first: (3, 3, n)."""
    w, x, y, z = quat.T.copy()
    xx, yy, zz = 2 * x * x, 2 * y * y, 2 * z * z
    xy, xz, yz = 2 * x * y, 2 * x * z, 2 * y * z
    wx, wy, wz = 2 * w * x, 2 * w * y, 2 * w * z
    rot = np.empty((3, 3, len(w)))
    rot[0, 0], rot[0, 1], rot[0, 2] = 1 - yy - zz, xy - wz, xz + wy
    rot[1, 0], rot[1, 1], rot[1, 2] = xy + wz, 1 - xx - zz, yz - wx
    rot[2, 0], rot[2, 1], rot[2, 2] = xz - wy, yz + wx, 1 - xx - yy
    return rot


def time_contacts(contact: Contact, touching: NDArray[np.bool_], dt: float) -> None:
    """Integrate contact and air times over the physics steps of one control step, as Isaac Lab's sensor does.

    Args:
        contact: Updated in place.
        touching: Whether each body touched in each physics step, (N, steps, B).
        dt: Length of a physics step [s].
    """
    for step in range(touching.shape[1]):
        now = touching[:, step]
        landed = now & (contact.air_time > 0.0)
        contact.air_time += dt
        np.copyto(contact.last_air_time, contact.air_time, where=landed)
        contact.air_time *= ~now
        contact.contact_time += dt
        contact.contact_time *= now
    span = touching.shape[1] * dt
    contact.first_contact = (contact.contact_time > 0.0) & (contact.contact_time < span + 1e-8)


def soft_limits(limits: Array, factor: float) -> Array:
    """Shrink joint ranges about their centres by a factor; unlimited joints stay so. Both are (J, 2)."""
    finite = np.isfinite(limits).all(axis=1)
    soft = limits.copy()
    centre, half = limits[finite].mean(axis=1), 0.5 * np.diff(limits[finite], axis=1)[:, 0]
    soft[finite] = np.stack([centre - factor * half, centre + factor * half], axis=1)
    return soft


def _no_contact(count: int, bodies: int, *, timed: bool) -> Contact:
    shape = (count, bodies)
    times = shape if timed else (count, 0)
    return Contact(
        touched=np.zeros(shape, np.bool_),
        touching=np.zeros(shape, np.bool_),
        contact_time=np.zeros(times),
        air_time=np.zeros(times),
        last_air_time=np.zeros(times),
        first_contact=np.zeros(times, np.bool_),
    )
