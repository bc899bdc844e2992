"""An environment that computes its observations and rewards itself: a mass on a rail, to be held at its middle."""

from types import SimpleNamespace
from typing import Any

import gymnasium
import isaaclab
import numpy as np
import torch

if not isaaclab.started:
    raise ImportError("isaaclab.envs was imported before the application was started")


class ManagerBasedRLEnv(gymnasium.Env):  # type: ignore[type-arg]
    """Only for ``isinstance``."""


class DirectRLEnv(gymnasium.Env):  # type: ignore[type-arg]
    is_vector_env = True

    def __init__(self, cfg: Any, render_mode: str | None = None, **registered: Any) -> None:
        self.cfg, self.render_mode = cfg, render_mode
        self.num_envs, self.device = cfg.scene.num_envs, cfg.sim.device
        self.sim = SimpleNamespace(device=self.device)
        self.scene = SimpleNamespace(articulations={}, sensors={}, env_origins=torch.zeros(self.num_envs, 3))
        self.step_dt = cfg.sim.dt * cfg.decimation
        self.max_episode_length = round(cfg.episode_length_s / self.step_dt)
        box = gymnasium.spaces.Box
        self.single_observation_space = gymnasium.spaces.Dict({"policy": box(-np.inf, np.inf, (2,), np.float32)})
        self.single_action_space = box(-np.inf, np.inf, (1,), np.float32)
        self.observation_space = gymnasium.vector.utils.batch_space(
            self.single_observation_space["policy"], self.num_envs
        )
        self.action_space = gymnasium.vector.utils.batch_space(self.single_action_space, self.num_envs)
        self.episode_length_buf = torch.zeros(self.num_envs, dtype=torch.long)
        self.common_step_counter = 0
        self.extras: dict[str, Any] = {}
        torch.manual_seed(cfg.seed)
        self._state = torch.rand(self.num_envs, 2) - 0.5

    @property
    def unwrapped(self) -> "DirectRLEnv":
        return self

    def reset(self, seed: int | None = None, options: Any = None) -> tuple[dict[str, Any], dict[str, Any]]:
        self._reset(torch.ones(self.num_envs, dtype=torch.bool))
        return self._get_observations(), self.extras

    def step(self, action: Any) -> tuple[Any, ...]:
        self._action = action.clamp(-3, 3)
        self._state[:, 1] += self._action[:, 0] * self.step_dt
        self._state[:, 0] += self._state[:, 1] * self.step_dt
        self.episode_length_buf += 1
        self.common_step_counter += 1
        terminated = self._state[:, 0].abs() > 2
        truncated = self.episode_length_buf >= self.max_episode_length
        rewards = self._get_rewards()
        self._reset(terminated | truncated)
        self.extras = {"log": {"Episode_Reward/middle": rewards.mean()}}
        return self._get_observations(), rewards, terminated, truncated, self.extras

    def close(self) -> None:
        print("environment closed", flush=True)

    def _get_observations(self) -> dict[str, Any]:
        return {"policy": self._state.clone()}

    def _get_rewards(self) -> Any:
        return (1.0 - self._state[:, 0].abs()) * self.step_dt

    def _reset(self, which: Any) -> None:
        self._state[which] = torch.rand(int(which.sum()), 2) - 0.5
        self.episode_length_buf[which] = 0
