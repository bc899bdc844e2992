"""What happens to worlds from outside: their start, pushes, and how they differ from each other."""

from __future__ import annotations

import numpy as np

from ..engine import Engine, Ids, Start
from ..models import RobotSpec
from ..state import Array, State
from ..tasks.cfg import Push, Randomization, Reset


class Starts:
    """Draws the starts of episodes: everything a start needs is one row of uniform numbers.

    Args:
        cfg: The ranges.
        spec: The robot.
        state: For the default pose and the limits.
        rng: Source of the draws.
    """

    def __init__(self, cfg: Reset, spec: RobotSpec, state: State, rng: np.random.Generator) -> None:
        joints = len(spec.joint_names)
        scale, offset, velocity = cfg.joint_pos_scale, cfg.joint_pos_offset, cfg.joint_vel
        per_joint = [(scale,) * joints, _for_all(offset, joints), _for_all(velocity, joints)]
        root = [(cfg.root_xy,) * 2, (cfg.root_yaw,), (cfg.root_velocity,) * 6] if spec.base else []
        bounds = np.array([pair for part in (*per_joint, *root) for pair in part])
        self._low, self._width = bounds[:, 0], bounds[:, 1] - bounds[:, 0]
        self._joints, self._height = joints, spec.init_height if spec.base else None
        self._default = state.default_joint_pos
        self._least, self._most = state.soft_joint_pos_limits.T
        self._rng = rng

    def draw(self, base_com: Array, origins: Array) -> Start:
        """Draw n starts. Joint positions are clamped to the soft limits, as in Isaac Lab.

        Args:
            base_com: Centre of mass of each world's base, in the base frame [m], (n, 3).
            origins: Ground under each world's start [m], (n, 3).
        """
        count, joints = len(base_com), self._joints
        drawn = self._rng.random((count, len(self._low)))
        drawn *= self._width
        drawn += self._low
        pos = self._default * drawn[:, :joints] + drawn[:, joints : 2 * joints]
        np.maximum(pos, self._least, out=pos)
        np.minimum(pos, self._most, out=pos)
        vel = drawn[:, 2 * joints : 3 * joints]
        if self._height is None:
            return Start(pos, vel)
        place, yaw, motion = np.split(drawn[:, 3 * joints :], (2, 3), axis=1)
        yaw = yaw[:, 0]
        pose = np.zeros((count, 7))
        pose[:, :2] = place
        pose[:, 2] = self._height
        pose[:, :3] += origins
        pose[:, 3], pose[:, 6] = np.cos(yaw / 2), np.sin(yaw / 2)
        return Start(pos, vel, pose, root_velocity(motion, yaw, base_com))


def root_velocity(world: Array, yaw: Array, base_com: Array) -> Array:
    """Turn the velocity of the base's centre of mass into MuJoCo's of its origin.

    Args:
        world: Linear and angular velocity of the centre of mass in the world frame, (n, 6).
        yaw: Heading of the upright base [rad], (n,).
        base_com: Centre of mass in the base frame [m], (n, 3).

    Returns:
        Linear velocity of the origin in the world frame and angular velocity in the base frame, (n, 6).
    """
    cos, sin = np.cos(yaw), np.sin(yaw)
    vx, vy, vz, wx, wy, wz = world.T
    com_x, com_y = cos * base_com[:, 0] - sin * base_com[:, 1], sin * base_com[:, 0] + cos * base_com[:, 1]
    com_z = base_com[:, 2]
    origin = np.empty_like(world)
    origin[:, 0] = vx - (wy * com_z - wz * com_y)
    origin[:, 1] = vy - (wz * com_x - wx * com_z)
    origin[:, 2] = vz - (wx * com_y - wy * com_x)
    origin[:, 3] = cos * wx + sin * wy
    origin[:, 4] = cos * wy - sin * wx
    origin[:, 5] = wz
    return origin


class Pushes:
    """Pushes at random intervals: a jump of the base's horizontal velocity.

    Args:
        cfg: Interval and strength.
        num_envs: Worlds.
        step_dt: Length of a control step [s].
        rng: Source of the draws.
    """

    def __init__(self, cfg: Push, num_envs: int, step_dt: float, rng: np.random.Generator) -> None:
        self.cfg = cfg
        self._step_dt = step_dt
        self._rng = rng
        self.time_left = np.zeros(num_envs)

    def restart(self, ids: Ids) -> None:
        """Draw the time to the next push of some worlds."""
        self.time_left[ids] = self._rng.uniform(*self.cfg.interval, len(ids))

    def update(self, engine: Engine, state: State) -> None:
        """Let a control step pass and push where it is time."""
        self.time_left -= self._step_dt
        due = np.flatnonzero(self.time_left < 1e-6)
        if due.size:
            engine.qvel[due, :2] += self._rng.uniform(*self.cfg.velocity, (len(due), 2))
            engine.read_motion_of(state, due)
            self.restart(due)


_NOMINAL = (1.0, 1.0)


def randomize(engine: Engine, cfg: Randomization, rng: np.random.Generator) -> None:
    """Give each world its own base, drives and friction, from the model's: an array per field, nothing per step.

    Isaac Lab's ``randomize_rigid_body_mass`` (add, inertia scaled by the ratio), ``randomize_rigid_body_com``,
    ``randomize_actuator_gains`` (scale, drive by drive) and ``randomize_rigid_body_material``.
    """
    _randomize_base(engine, cfg, rng)
    model, count = engine.model, len(engine.base_com)
    # What does not vary is left alone: a policy may have brought gains of its own.
    if cfg.stiffness != _NOMINAL or cfg.damping != _NOMINAL:
        stiffness, damping = (rng.uniform(*factors, (count, model.nu)) for factors in (cfg.stiffness, cfg.damping))
        engine.set_gains(stiffness * engine.spec.stiffness, damping * engine.spec.damping)
    if cfg.friction != _NOMINAL:
        robot = np.flatnonzero(model.geom_bodyid > 0)
        factor = rng.uniform(*cfg.friction, (count, 1))
        engine.batch.expand("geom_friction")[:, robot, 0] = factor * model.geom_friction[robot, 0]


def _randomize_base(engine: Engine, cfg: Randomization, rng: np.random.Generator) -> None:
    body = engine.model.body(engine.spec.base)
    count = len(engine.base_com)
    mass = float(body.mass[0]) + rng.uniform(*cfg.base_mass, count)
    engine.base_com[:] = body.ipos + rng.uniform(-1.0, 1.0, (count, 3)) * np.array(cfg.base_com)
    engine.batch.expand("body_mass")[:, body.id] = mass
    engine.batch.expand("body_inertia")[:, body.id] = body.inertia * (mass / float(body.mass[0]))[:, None]
    engine.batch.expand("body_ipos")[:, body.id] = engine.base_com
    engine.batch.set_const()


def _for_all(ranges: tuple[tuple[float, float], ...], count: int) -> tuple[tuple[float, float], ...]:
    """Repeat a single range for every joint; ranges for each stay as they are."""
    return ranges * count if len(ranges) == 1 else ranges
