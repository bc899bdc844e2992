"""The wrapper of Isaac Lab 2.3, and before rsl_rl 3 that of 2.2."""

import importlib.metadata
from typing import Any

import torch
from rsl_rl.env import VecEnv
from tensordict import TensorDict

TENSORDICTS = int(importlib.metadata.version("rsl-rl-lib").split(".")[0]) >= 3


class RslRlVecEnvWrapper(VecEnv):  # type: ignore[misc]
    def __init__(self, env: Any, clip_actions: float | None = None) -> None:
        self.env, self.clip_actions = env, clip_actions
        self.num_envs, self.device = env.unwrapped.num_envs, env.unwrapped.device
        self.max_episode_length, self.num_actions = env.unwrapped.max_episode_length, 1
        env.reset()

    @property
    def cfg(self) -> Any:
        return self.unwrapped.cfg

    @property
    def unwrapped(self) -> Any:
        return self.env.unwrapped

    @property
    def episode_length_buf(self) -> Any:
        return self.unwrapped.episode_length_buf

    @episode_length_buf.setter
    def episode_length_buf(self, value: Any) -> None:
        self.unwrapped.episode_length_buf = value

    def get_observations(self) -> Any:
        found = self.unwrapped._get_observations()
        return self._tensordict(found) if TENSORDICTS else (found["policy"], {"observations": found})

    def reset(self) -> Any:
        self.env.reset()
        return self.get_observations()

    def step(self, actions: Any) -> tuple[Any, ...]:
        found, rewards, terminated, truncated, extras = self.env.step(actions)
        dones = (terminated | truncated).to(dtype=torch.long)
        extras["time_outs"] = truncated
        if TENSORDICTS:
            return self._tensordict(found), rewards, dones, extras
        extras["observations"] = found
        return found["policy"], rewards, dones, extras

    def _tensordict(self, found: dict[str, Any]) -> Any:
        return TensorDict(found, batch_size=[self.num_envs])
