"""A small environment in numpy with the contract of a velocity task: what the evaluation is tested on.

Each world is a cart that is asked for a planar velocity. Actions are target velocities, so that the policy that
answers with the command is perfect. Which episode ends when, and how, can be scripted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from gaitway_runtime.simulators.base import Transition
from gaitway_runtime.spec.contract import ActionTerm, ObservationTerm, PolicyContract, Robot, Timing

STEP_DT = 0.02
JOINTS = ("slide_x", "slide_y")


class FakeEnv:
    """Worlds on a plane.

    Args:
        num_envs: Worlds.
        lengths: Steps of each world's episodes in order, repeated; negative for one that ends in a fall.
        max_episode_length: Length of every episode without a script [steps].
        diverge_at: ``(step, world)`` pairs at which the simulation is no longer finite.
    """

    def __init__(
        self,
        num_envs: int = 4,
        *,
        task: str = "Fake-Velocity-v0",
        lengths: Sequence[Sequence[int]] = (),
        max_episode_length: int = 50,
        diverge_at: Sequence[tuple[int, int]] = (),
    ) -> None:
        self.task = task
        self.num_envs = num_envs
        self.num_actions = 2
        self.observation_sizes = {"policy": 4}
        self.policy_groups = ("policy",)
        self.max_episode_length = max_episode_length
        self.step_dt = STEP_DT
        self.closed = False
        self._lengths = lengths
        self._diverge_at = frozenset(diverge_at)

    @property
    def contract(self) -> PolicyContract:
        return PolicyContract(
            task=self.task,
            simulator="fake 1",
            observations=(
                ObservationTerm(name="base_lin_vel", start=0, stop=2, units="m/s", frame="base"),
                ObservationTerm(name="velocity_commands", start=2, stop=4, units="m/s", frame="base"),
            ),
            actions=(
                ActionTerm(
                    name="joint_pos",
                    kind="joint_position",
                    start=0,
                    stop=2,
                    joint_names=JOINTS,
                    scale=(1.0, 1.0),
                    offset=(0.0, 0.0),
                ),
            ),
            timing=Timing(physics_dt=STEP_DT / 2, decimation=2, control_dt=STEP_DT),
            robot=Robot(
                name="cart",
                joint_names=JOINTS,
                default_joint_pos=(0.0, 0.0),
                joint_pos_limits=((-1e6, 1e6),) * 2,
                stiffness=(10.0, 10.0),
                damping=(1.0, 1.0),
                armature=(0.0, 0.0),
                effort_limits=(80.0, 80.0),
                actuator="implicit_pd",
            ),
        )

    def reset(self, seed: int | None = None) -> Mapping[str, np.ndarray]:
        self._random = np.random.default_rng(seed)
        self._position = np.zeros((self.num_envs, 2))
        self._velocity = np.zeros((self.num_envs, 2))
        self._command = self._random.uniform(-1, 1, (self.num_envs, 2))
        self._age = np.zeros(self.num_envs, dtype=int)
        self._episode = np.zeros(self.num_envs, dtype=int)
        self._step = 0
        return self._observations()

    def step(self, actions: np.ndarray) -> Transition:
        assert actions.shape == (self.num_envs, 2) and actions.dtype == np.float32
        self._velocity += 0.5 * (actions - self._velocity)
        self._position += STEP_DT * self._velocity
        self._age += 1
        error = np.linalg.norm(self._command - self._velocity, axis=1).astype(np.float32)
        lengths = np.array([self._length(world) for world in range(self.num_envs)])
        diverged = np.array([(self._step, world) in self._diverge_at for world in range(self.num_envs)])
        error[diverged] = np.nan
        terminated = (self._age >= np.abs(lengths)) & (lengths < 0)
        truncated = (self._age >= np.abs(lengths)) & (lengths > 0)
        self._step += 1
        rewards = np.exp(-(error**2)) * np.float32(STEP_DT)
        diagnostics = {
            "error_vel_xy": error,
            "error_vel_yaw": np.where(diverged, np.nan, 0).astype(np.float32),
            "command_vx": self._command[:, 0].astype(np.float32),
            "vel_x": self._velocity[:, 0].astype(np.float32),
            "command_vy": self._command[:, 1].astype(np.float32),
            "vel_y": self._velocity[:, 1].astype(np.float32),
        }
        self._restart(np.flatnonzero(terminated | truncated | diverged))
        return Transition(
            observations=self._observations(),
            rewards=rewards,
            task_rewards=rewards,
            terminated=terminated | diverged,
            truncated=truncated,
            reward_terms={"track": rewards * 2, "effort": -rewards},
            diagnostics=diagnostics,
            diverged=diverged,
        )

    def snapshot(self) -> np.ndarray:
        return self._position.copy()

    def close(self) -> None:
        self.closed = True

    def _length(self, world: int) -> int:
        script = self._lengths[world % len(self._lengths)] if self._lengths else (self.max_episode_length,)
        return script[self._episode[world] % len(script)]

    def _restart(self, worlds: np.ndarray) -> None:
        self._episode[worlds] += 1
        self._age[worlds] = 0
        self._position[worlds] = 0
        self._velocity[worlds] = 0
        self._command[worlds] = self._random.uniform(-1, 1, (len(worlds), 2))

    def _observations(self) -> dict[str, np.ndarray]:
        return {"policy": np.concatenate([self._velocity, self._command], axis=1).astype(np.float32)}


class Obey:
    """The perfect policy: it answers with the command; ``gain`` makes it a worse one."""

    def __init__(self, gain: float = 1.0) -> None:
        self.gain = gain
        self.resets: list[np.ndarray | None] = []

    def act(self, observations: np.ndarray) -> np.ndarray:
        return np.float32(self.gain) * observations[:, 2:4]

    def reset(self, mask: np.ndarray | None = None) -> None:
        self.resets.append(mask)
