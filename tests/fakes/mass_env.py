"""A batch of double integrators: push a point mass to the origin. Learns within seconds, needs no simulator."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from gaitway_runtime.simulators.base import Mirror, SignedPermutation, StateTree, Transition
from gaitway_runtime.spec.contract import ActionTerm, ObservationTerm, PolicyContract, Robot, Timing
from numpy.typing import NDArray

OBSERVATIONS = 4
ACTIONS = 2


class DoubleIntegrator:
    """Two independent axes; observed are positions and velocities, the action is the acceleration.

    Args:
        num_envs: Worlds.
        critic: Whether there is a ``critic`` group, which also sees the time left.
        task: Name it goes by.
        nan_after: Environment steps after which the first observation of the first world is not a number.
    """

    step_dt = 0.1
    max_episode_length = 50
    num_actions = ACTIONS
    not_restored = ""

    def __init__(
        self, num_envs: int = 16, *, critic: bool = False, task: str = "Fake-Mass-v0", nan_after: int | None = None
    ) -> None:
        self.task = task
        self.num_envs = num_envs
        self.observation_sizes = {"policy": OBSERVATIONS, **({"critic": OBSERVATIONS + 1} if critic else {})}
        self.policy_groups = ("policy",)
        self.episode_length = np.zeros(num_envs, dtype=np.int64)
        self.env_steps = 0
        self.closed = False
        self.mirrors = (self._left_right(),)
        self._nan_after = nan_after
        self._random = np.random.default_rng(0)
        self._state = np.zeros((num_envs, 4))
        self._return = np.zeros(num_envs)

    @property
    def contract(self) -> PolicyContract:
        names = ("x", "y")
        return PolicyContract(
            task=self.task,
            simulator="fake 1",
            observations=(ObservationTerm(name="joint_pos", start=0, stop=4),),
            actions=(
                ActionTerm(
                    name="effort", kind="joint_effort", start=0, stop=2, joint_names=names, scale=(1, 1), offset=(0, 0)
                ),
            ),
            timing=Timing(physics_dt=0.1, decimation=1, control_dt=0.1),
            robot=Robot(
                name="mass",
                joint_names=names,
                default_joint_pos=(0, 0),
                joint_pos_limits=((-3, 3), (-3, 3)),
                stiffness=(0, 0),
                damping=(0, 0),
                armature=(0, 0),
                effort_limits=(1, 1),
                actuator="effort",
            ),
        )

    def reset(self, seed: int | None = None) -> Mapping[str, NDArray[np.float32]]:
        if seed is not None:
            self._random = np.random.default_rng(seed)
        self._begin(np.ones(self.num_envs, dtype=bool))
        return self._observe()

    def step(self, actions: NDArray[np.float32]) -> Transition:
        self.episode_length += 1
        self.env_steps += self.num_envs
        self._state[:, 2:] += np.clip(actions, -1, 1) * self.step_dt
        self._state[:, :2] += self._state[:, 2:] * self.step_dt
        terminated = (np.abs(self._state[:, :2]) > 3).any(axis=1)
        truncated = self.episode_length >= self.max_episode_length
        task_rewards = (np.exp(-np.square(self._state).sum(axis=1)) * self.step_dt).astype(np.float32)
        self._return += task_rewards
        ended = terminated | truncated
        log = {"Episode_Reward/near": float(self._return[ended].mean())} if ended.any() else {}
        self._begin(ended)
        return Transition(
            observations=self._observe(),
            # Shaped: what the learner maximises is not what is reported.
            rewards=task_rewards + np.float32(0.01),
            task_rewards=task_rewards,
            terminated=terminated,
            truncated=truncated,
            log=log,
        )

    def snapshot(self) -> NDArray[np.float64]:
        return self._state[:, :2].copy()

    def training_state(self) -> StateTree:
        return {
            "env_steps": self.env_steps,
            "episode_length": self.episode_length.copy(),
            "state": self._state.copy(),
            "return": self._return.copy(),
            "random": dict(self._random.bit_generator.state),
        }

    def load_training_state(self, state: StateTree) -> None:
        saved: dict[str, Any] = dict(state)
        self.env_steps = saved["env_steps"]
        self.episode_length[:] = saved["episode_length"]
        self._state[:], self._return[:] = saved["state"], saved["return"]
        self._random.bit_generator.state = saved["random"]

    def close(self) -> None:
        self.closed = True

    def _begin(self, worlds: NDArray[np.bool_]) -> None:
        self._state[worlds] = self._random.uniform(-1, 1, (int(worlds.sum()), 4))
        self.episode_length[worlds] = 0
        self._return[worlds] = 0

    def _observe(self) -> dict[str, NDArray[np.float32]]:
        policy = self._state.astype(np.float32)
        if self._nan_after is not None and self.env_steps >= self._nan_after:
            policy[0, 0] = np.nan
        groups = {"policy": policy}
        if "critic" in self.observation_sizes:
            left = (1 - self.episode_length / self.max_episode_length)[:, None].astype(np.float32)
            groups["critic"] = np.concatenate((policy, left), axis=1)
        return groups

    def _left_right(self) -> Mirror:
        sign = np.array([1, -1, 1, -1], dtype=np.float32)
        maps = {"policy": SignedPermutation(np.arange(4), sign)}
        if "critic" in self.observation_sizes:
            maps["critic"] = SignedPermutation(np.arange(5), np.append(sign, np.float32(1)))
        return Mirror("left-right", maps, SignedPermutation(np.arange(2), sign[:2]))
