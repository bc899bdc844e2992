"""Managers of a task's terms: observations with and without noise, rewards and terminations, events."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from ...spec.errors import ConfigError, UsageError
from ...tasks.arrays import Array
from ...tasks.environment import Observation, Push, Randomization, Reset, Reward, Shaping, one_each
from ...tasks.robots import RobotSpec
from ...tasks.state import State
from .engine import Engine, Ids, Start

POLICY, CRITIC = "policy", "critic"
"""Names of the observation groups."""


class Observations:
    """The observation groups of a task.

    ``policy`` holds the task's terms. ``critic``, there only when there are privileged terms, holds the same without
    noise and the privileged ones after them.

    Args:
        terms: The policy's terms, in order.
        privileged: The critic's further terms.
        noise: Source of the terms' noise, or None for none.
    """

    def __init__(
        self, terms: tuple[Observation, ...], privileged: tuple[Observation, ...], noise: np.random.Generator | None
    ) -> None:
        self._terms = (*terms, *privileged)
        ends = np.cumsum([term.size for term in self._terms])
        self._spans = tuple(slice(int(end) - term.size, int(end)) for term, end in zip(self._terms, ends, strict=True))
        self._size = sum(term.size for term in terms)
        self._rng = noise
        self._low = np.zeros(self._size, np.float32)
        self._width = np.zeros(self._size, np.float32)
        for term, span in zip(terms, self._spans, strict=False):
            low, high = term.noise or (0.0, 0.0)
            self._low[span], self._width[span] = low, high - low
        self._per_bit = self._width * np.float32(2.0**-16)
        self._noisy = noise is not None and bool(self._width.any())
        self._adjusted = tuple(
            (span, term.clip, np.float32(term.scale))
            for term, span in zip(self._terms, self._spans, strict=True)
            if term.clip is not None or term.scale != 1.0
        )
        self.bias: NDArray[np.float32] | None = None
        """Added to the policy's group before clip and scale, (N, size)."""
        self.sizes = {POLICY: self._size} | ({CRITIC: int(ends[-1])} if privileged else {})

    def compute(self, state: State, num_envs: int) -> dict[str, NDArray[np.float32]]:
        """Return each group's array, (num_envs, size): values, then noise, then clip, then scale.

        Raises:
            ConfigError: A term has another size than it says.
        """
        clean = np.empty((num_envs, self._spans[-1].stop), np.float32)
        for term, span in zip(self._terms, self._spans, strict=True):
            value = term.func(state)
            columns = value if value.ndim == 2 else value[:, None]
            found = columns.shape[1]
            if found != term.size:  # numpy would repeat a single column without a word
                raise ConfigError(
                    f"observation '{term.name}' has {found} numbers in each world, its size says {term.size}",
                    hint=f"correct size= in Observation(name='{term.name}', ...)",
                )
            clean[:, span] = columns
        groups = {POLICY: clean}
        if CRITIC in self.sizes:
            groups = {POLICY: clean[:, : self._size].copy(), CRITIC: clean}
        if self.bias is not None:
            if CRITIC not in groups:
                groups[POLICY] = clean.copy()
            groups[POLICY] += self.bias
        if self._noisy:
            groups[POLICY] += self._noise(num_envs)
        for values in groups.values():
            self._adjust(values)
        return groups

    def _noise(self, num_envs: int) -> NDArray[np.float32]:
        """Draw uniform noise from 16 random bits each: plenty for noise, and half the cost of drawing floats."""
        assert self._rng is not None
        count = num_envs * self._size
        bits = self._rng.bit_generator.random_raw(-(-count // 4)).view(np.uint16)[:count]
        noise: NDArray[np.float32] = np.multiply(bits.reshape(num_envs, self._size), self._per_bit, dtype=np.float32)
        noise += self._low
        return noise

    def _adjust(self, values: NDArray[np.float32]) -> None:
        for span, clip, scale in self._adjusted:
            part = values[:, span]
            if clip is not None:
                np.clip(part, *clip, out=part)
            part *= scale


PENALTY_RELIEF = "shaping/penalty_relief"
FLOOR = "shaping/floor"
FALL = "shaping/fall"


@dataclass(frozen=True)
class StepRewards:
    """Rewards of one step. The values of ``terms`` add up to ``total``."""

    total: NDArray[np.float32]
    task: NDArray[np.float32]
    terms: dict[str, NDArray[np.float32]]


class Rewards:
    """A task's rewards of all worlds; terms that never weigh anything are left out.

    Args:
        task_terms: The reported reward.
        shaping: What training adds, or None.
        step_dt: Length of a control step [s].
        num_envs: Worlds, N.
    """

    SAVED: ClassVar[tuple[str, ...]] = ("_sums",)

    def __init__(self, task_terms: tuple[Reward, ...], shaping: Shaping | None, step_dt: float, num_envs: int) -> None:
        self._own = _weighed(task_terms)
        self._shaping = shaping
        extra = _weighed(shaping.terms) if shaping else ()
        self._terms = (*self._own, *extra)
        self._weights = np.array([[term.weight * step_dt] for term in self._terms])
        self._floor = -np.inf if shaping is None or shaping.floor is None else shaping.floor * step_dt
        self._names = [*(t.name for t in self._own), *(f"shaping/{t.name}" for t in extra)]
        self._fading = [(row, term.fade_steps) for row, term in enumerate(self._terms) if term.fade_steps]
        if shaping:
            self._names += [PENALTY_RELIEF, FLOOR, *([FALL] if shaping.fall else [])]
            self._scaled = np.array([float(term.name not in shaping.unscaled) for term in self._own])
        self._changing = [(row, *term.later) for row, term in enumerate(self._terms) if term.later]
        self._step_dt = step_dt
        self._tags = [_tag(name) for name in self._names]
        self._sums = np.zeros((len(self._names), num_envs))

    def compute(self, state: State, void: NDArray[np.bool_], env_steps: int) -> StepRewards:
        """Return the rewards of a step and add them to the episodes' sums.

        Args:
            state: The worlds after the step, before any reset.
            void: Worlds whose step is worth nothing because they diverged, (N,).
            env_steps: Environment steps so far over all worlds, for the penalty ramp and the terms that fade.

        Raises:
            ConfigError: A term is not one number a world.
        """
        values = np.empty_like(self._sums)
        own, count = len(self._own), len(self._terms)
        for row, term in enumerate(self._terms):
            value = term.func(state)
            if np.shape(value) != values.shape[1:]:
                raise ConfigError(
                    f"reward '{term.name}' has the shape {np.shape(value)}, not one number a world: {values.shape[1:]}",
                    hint="sum or average over the last axis",
                )
            values[row] = value
        for row, steps, weight in self._changing:
            if env_steps > steps * values.shape[1]:
                self._weights[row] = weight * self._step_dt
        values[:count] *= self._weights
        for row, steps in self._fading:
            values[row] *= max(0.0, 1.0 - env_steps / steps)
        if void.any():
            values[:count, void] = 0.0
        task = values[:own].sum(axis=0)
        total = task
        if self._shaping:
            ramp = penalty_ramp(self._shaping, env_steps)
            first, last = self._shaping.penalty_scale
            values[count] = (first + (last - first) * ramp - 1.0) * self._scaled @ values[:own]
            raw = values[: count + 1].sum(axis=0)
            total = np.maximum(raw, self._floor)
            values[count + 1] = total - raw
            if self._shaping.fall:
                values[count + 2] = -ramp * self._shaping.fall * (state.terminated & ~void)
                total = total + values[count + 2]
        self._sums += values
        terms = dict(zip(self._names, values.astype(np.float32), strict=True))
        return StepRewards(total.astype(np.float32), task.astype(np.float32), terms)

    def finish(self, ids: Ids, counted: Ids, episode_length_s: float) -> dict[str, float]:
        """Forget the sums of ended episodes and return their means by TensorBoard tag, as Isaac Lab logs them.

        Args:
            ids: Worlds whose episode ended.
            counted: Those of them that go into the means.
            episode_length_s: Length of a full episode [s], by which the sums are divided.
        """
        log: dict[str, float] = {}
        if counted.size:
            means = self._sums[:, counted].sum(axis=1) / (counted.size * episode_length_s)
            log = dict(zip(self._tags, means.tolist(), strict=True))
        self._sums[:, ids] = 0.0
        return log


def _weighed(terms: tuple[Reward, ...]) -> tuple[Reward, ...]:
    return tuple(term for term in terms if term.weight != 0.0 or term.later is not None)


def penalty_ramp(shaping: Shaping, env_steps: int) -> float:
    """Return how much of the ramp of penalties is done after so many environment steps, 0 to 1."""
    return min(1.0, env_steps / shaping.penalty_ramp_steps)


def _tag(name: str) -> str:
    shaping, _, rest = name.partition("shaping/")
    return f"Episode_Shaping/{rest}" if not shaping and rest else f"Episode_Reward/{name}"


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
        per_joint = [(scale,) * joints, one_each(offset, joints), one_each(velocity, joints)]
        root = [one_each(cfg.root_xy, 2), (cfg.root_yaw,), one_each(cfg.root_velocity, 6)] if spec.base else []
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

    SAVED: ClassVar[tuple[str, ...]] = ("time_left",)

    def __init__(self, cfg: Push, num_envs: int, step_dt: float, rng: np.random.Generator) -> None:
        self.cfg = cfg
        self._low, self._high = np.array(one_each(cfg.velocity, 2)).T
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
            engine.qvel[due, :2] += self._rng.uniform(self._low, self._high, (len(due), 2))
            engine.read_motion_of(state, due)
            self.restart(due)


_NOMINAL = (1.0, 1.0)


def randomize(engine: Engine, cfg: Randomization, rng: np.random.Generator) -> None:
    """Give each world its own base, drives and friction, from the model's: an array per field, nothing per step.

    Isaac Lab's ``randomize_rigid_body_mass`` (add, inertia scaled by the ratio), ``randomize_rigid_body_com``,
    ``randomize_actuator_gains`` (scale, drive by drive) and ``randomize_rigid_body_material``.

    Raises:
        UsageError: The base could be left without mass.
    """
    _randomize_base(engine, cfg, rng)
    model, count = engine.model, len(engine.base_com)
    # What does not vary is left alone: a policy may have brought gains of its own.
    if cfg.stiffness != _NOMINAL or cfg.damping != _NOMINAL:
        stiffness, damping = (rng.uniform(*factors, (count, model.nu)) for factors in (cfg.stiffness, cfg.damping))
        engine.set_gains(stiffness * np.array(engine.spec.stiffness), damping * np.array(engine.spec.damping))
    if cfg.friction != _NOMINAL:
        robot = np.flatnonzero(model.geom_bodyid > 0)
        factor = rng.uniform(*cfg.friction, (count, 1))
        engine.batch.expand("geom_friction")[:, robot, 0] = factor * model.geom_friction[robot, 0]


def _randomize_base(engine: Engine, cfg: Randomization, rng: np.random.Generator) -> None:
    body = engine.model.body(engine.spec.base)
    count = len(engine.base_com)
    nominal = float(body.mass[0])
    if nominal + cfg.base_mass[0] <= 0.0:
        raise UsageError(
            f"the base weighs {nominal:.1f} kg, of which {-cfg.base_mass[0]:g} kg cannot be taken",
            source="--set env.events.add_base_mass.params.mass_distribution_params",
            allowed=f"more than {-nominal:.1f}",
        )
    mass = nominal + rng.uniform(*cfg.base_mass, count)
    low, high = np.array(cfg.base_com_ranges).T
    engine.base_com[:] = body.ipos + (low + high) / 2 + rng.uniform(-1.0, 1.0, (count, 3)) * (high - low) / 2
    engine.batch.expand("body_mass")[:, body.id] = mass
    engine.batch.expand("body_inertia")[:, body.id] = body.inertia * (mass / nominal)[:, None]
    engine.batch.expand("body_ipos")[:, body.id] = engine.base_com
    engine.update_constants()
