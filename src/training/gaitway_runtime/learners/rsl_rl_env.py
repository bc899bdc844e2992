"""The simulators' environment as rsl_rl wants it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from rsl_rl.env import VecEnv
from tensordict import TensorDict

from .watch import NotFinite

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..simulators.base import Env


class RslRlEnv(VecEnv):  # type: ignore[misc]
    """Arrays in, tensors out. Every observation group of the environment becomes one of rsl_rl's.

    Args:
        env: The environment; it is reset here.
        seed: Seed of the first episodes.
    """

    def __init__(self, env: Env, seed: int) -> None:
        self.env = env
        self.num_envs = env.num_envs
        self.num_actions = env.num_actions
        self.max_episode_length = env.max_episode_length
        self.device = "cpu"
        self.cfg: dict[str, Any] = {}
        self._observations = self._tensors(env.reset(seed))

    @property
    def episode_length_buf(self) -> torch.Tensor:
        """Control steps since each world's last reset, (N,)."""
        return torch.from_numpy(self.env.episode_length)

    @episode_length_buf.setter
    def episode_length_buf(self, value: torch.Tensor) -> None:
        self.env.episode_length[:] = value.numpy()

    def get_observations(self) -> TensorDict:
        """Return the current observations, each group (N, size)."""
        return self._observations

    def step(self, actions: torch.Tensor) -> tuple[TensorDict, torch.Tensor, torch.Tensor, dict[str, Any]]:
        """Apply actions, shape (N, num_actions), for one control step.

        Returns:
            Observations, rewards (N,), dones (N,), and extras: ``time_outs`` (N,) where an episode ended by time alone,
            ``log``, and ``task_rewards`` (N,), the part of the rewards that is reported.

        Raises:
            NotFinite: The environment returned something that is not a finite number.
        """
        if not torch.isfinite(actions).all():
            raise NotFinite("the policy's actions")
        transition = self.env.step(actions.numpy())
        if not np.isfinite(transition.rewards).all():
            raise NotFinite("the rewards")
        self._observations = self._tensors(transition.observations)
        extras = {
            "time_outs": torch.from_numpy(transition.truncated & ~transition.terminated),
            "log": dict(transition.log),
            "task_rewards": torch.from_numpy(transition.task_rewards),
        }
        dones = torch.from_numpy(transition.terminated | transition.truncated).long()
        return self._observations, torch.from_numpy(transition.rewards), dones, extras

    def _tensors(self, groups: Mapping[str, NDArray[np.float32]]) -> TensorDict:
        for name, values in groups.items():
            if not np.isfinite(values).all():
                raise NotFinite(f"the observations '{name}'")
        # Copied: rsl_rl keeps them until after the next step, and the environment may reuse its arrays.
        return TensorDict(
            {name: torch.tensor(values) for name, values in groups.items()}, batch_size=[self.num_envs], device="cpu"
        )
