"""Imperfections of real robots: delays, weak motors, friction, and sensors that are off."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ...tasks.arrays import Array
from ...tasks.environment import Imperfections, Observation
from ...tasks.mdp import observations
from .engine import Engine, Ids

NONE = Imperfections()


class Delay:
    """Values that arrive some steps late, world by world.

    Args:
        steps: Control steps of each world, (N,).
        initial: Values before the first ones, (N, size).
    """

    SAVED: ClassVar[tuple[str, ...]] = ("_past",)

    def __init__(self, steps: NDArray[np.int64], initial: NDArray[Any]) -> None:
        self._steps = steps
        self._past = np.repeat(initial[None], int(steps.max()) + 1, axis=0)
        self._worlds = np.arange(len(steps))

    def pass_on(self, values: NDArray[Any]) -> NDArray[Any]:
        """Take the newest values and return those that arrive now, (N, size)."""
        self._past = np.roll(self._past, 1, axis=0)
        self._past[0] = values
        arrived: NDArray[Any] = self._past[self._steps, self._worlds]
        return arrived

    def restart(self, ids: Ids, values: NDArray[Any]) -> None:
        """Forget the past of some worlds: until new values arrive they see these, (n, size)."""
        self._past[:, ids] = values


class RobotImperfections:
    """The imperfections of all worlds.

    Args:
        cfg: Their ranges.
        engine: The worlds; drives and joints are changed in it.
        terms: The policy's observations.
        joints: Joints of the action, as indices of the robot's, (A,).
        rng: Source of the draws.
    """

    def __init__(
        self,
        cfg: Imperfections,
        engine: Engine,
        terms: tuple[Observation, ...],
        joints: list[int],
        rng: np.random.Generator,
    ) -> None:
        count = len(engine.qpos)
        self.offset: Array = rng.uniform(*cfg.joint_offset, (count, len(engine.spec.joint_names)))
        """Error of each joint's encoder [rad], (N, J)."""
        self.drive_offset = self.offset[:, joints]
        """The same of the joints that are driven by actions, (N, A)."""
        gyro = rng.uniform(*cfg.gyro_bias, (count, 3))
        tilt = np.pad(rng.uniform(*cfg.tilt_bias, (count, 2)), ((0, 0), (0, 1)))
        off: dict[object, Array] = {
            observations.joint_pos_rel: self.offset,
            observations.base_ang_vel: gyro,
            observations.projected_gravity: tilt,
        }
        parts = [off.get(term.func, np.zeros((count, term.size))) for term in terms]
        self.bias = np.concatenate(parts, axis=1).astype(np.float32)
        """Added to the policy's observations, (N, size)."""
        self.action_delay = _steps(cfg.action_delay, count, rng)
        self.observation_delay = _steps(cfg.observation_delay, count, rng)
        self._change_joints(cfg, engine, rng)

    def _change_joints(self, cfg: Imperfections, engine: Engine, rng: np.random.Generator) -> None:
        count, spec = len(engine.qpos), engine.spec
        if cfg.motor_strength != NONE.motor_strength and spec.stiffness:
            strength = rng.uniform(*cfg.motor_strength, (count, len(spec.stiffness)))
            engine.set_gains(strength * np.array(spec.stiffness), strength * np.array(spec.damping))
        if cfg.joint_friction != NONE.joint_friction:
            friction = rng.uniform(*cfg.joint_friction, (count, len(spec.joint_names)))
            engine.batch.expand("dof_frictionloss")[:, engine.layout.joint_dof] = friction


def _steps(bounds: tuple[int, int], count: int, rng: np.random.Generator) -> NDArray[np.int64]:
    return rng.integers(bounds[0], bounds[1] + 1, count)
