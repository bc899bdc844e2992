"""skrl's networks and environment for gaitway's tasks: small classes that skrl asks a user to write."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import TYPE_CHECKING, Any, cast

import gymnasium
import numpy as np
import torch
from skrl.envs.wrappers.torch import Wrapper
from skrl.models.torch import DeterministicMixin, GaussianMixin, Model
from torch import nn

from ...policies.activations import activation_module
from ...simulators.base import StateTree
from ..monitor import NotFinite
from ..state import array_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ...simulators.base import Env

RECENT_EPISODES = 100
"""Episodes that the reported means are over, as in rsl_rl and skrl."""


class SkrlEnv(Wrapper):  # type: ignore[misc]
    """Arrays in, tensors out. The ``critic`` group, where there is one, is skrl's state.

    Args:
        env: The environment.
        seed: Seed of the first episodes.
        spread_episodes: Whether the first episodes have a random age.
    """

    def __init__(self, env: Env, seed: int, *, spread_episodes: bool) -> None:
        super().__init__(env)
        self._device = torch.device("cpu")
        self._seed = seed
        self._spread = spread_episodes
        self._critic: torch.Tensor | None = None
        self._returns = np.zeros(env.num_envs)
        self._rewards: deque[float] = deque(maxlen=RECENT_EPISODES)
        self._lengths: deque[float] = deque(maxlen=RECENT_EPISODES)
        self._log: dict[str, list[float]] = {}
        self._observations: torch.Tensor | None = None

    @property
    def observation_space(self) -> gymnasium.Space[Any]:
        """See skrl."""
        return _box(self._env.observation_sizes["policy"])

    @property
    def state_space(self) -> gymnasium.Space[Any] | None:
        """See skrl."""
        size = self._env.observation_sizes.get("critic")
        return _box(size) if size else None

    @property
    def action_space(self) -> gymnasium.Space[Any]:
        """See skrl."""
        return _box(self._env.num_actions)

    def reset(self) -> tuple[torch.Tensor, dict[str, object]]:
        """Start a new episode in every world, the first time; later the worlds have started anew by themselves."""
        if self._observations is None:
            self._observations = self._tensor(self._env.reset(self._seed))
            if self._spread:
                ages = torch.randint(self._env.max_episode_length, (self._env.num_envs,))
                self._env.episode_length[:] = ages.numpy()
        return self._observations, {}

    def training_state(self) -> StateTree:
        """Return the observations that the policy acts on next, and the statistics of episodes under way."""
        policy = np.zeros(0, np.float32) if self._observations is None else self._observations.numpy().copy()
        return {
            "policy": policy,
            "critic": np.zeros(0, np.float32) if self._critic is None else self._critic.numpy().copy(),
            "returns": self._returns.copy(),
            "rewards": list(self._rewards),
            "lengths": list(self._lengths),
        }

    def load_training_state(self, state: StateTree) -> None:
        """Restore :meth:`training_state`."""
        self._env.reset(self._seed)  # what is drawn once for a whole training
        self._observations = torch.from_numpy(array_of(state, "policy").copy())
        critic = array_of(state, "critic")
        self._critic = torch.from_numpy(critic.copy()) if critic.size else None
        self._returns[:] = array_of(state, "returns")
        self._rewards.extend(cast("list[float]", state["rewards"]))
        self._lengths.extend(cast("list[float]", state["lengths"]))

    def state(self) -> torch.Tensor | None:
        """Return the critic's observations, (N, size), or None where it sees what the policy sees."""
        return self._critic

    def step(self, actions: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor, Any]:
        """Apply actions, shape (N, num_actions), for one control step.

        Raises:
            NotFinite: The policy or the environment returned something that is not a finite number.
        """
        if not torch.isfinite(actions).all():
            raise NotFinite("the policy's actions")
        ages = self._env.episode_length + 1
        transition = self._env.step(actions.numpy())
        if not np.isfinite(transition.rewards).all():
            raise NotFinite("the rewards")
        if not np.isfinite(transition.task_rewards).all():
            raise NotFinite("the task's rewards")
        self._returns += transition.task_rewards
        ended = transition.terminated | transition.truncated
        self._rewards.extend(self._returns[ended].tolist())
        self._lengths.extend(ages[ended].tolist())
        self._returns[ended] = 0.0
        for tag, value in transition.log.items():
            self._log.setdefault(tag, []).append(value)
        columns = (transition.rewards, transition.terminated, transition.truncated & ~transition.terminated)
        rewards, terminated, truncated = (torch.tensor(values).unsqueeze(1) for values in columns)
        self._observations = self._tensor(transition.observations)
        return self._observations, rewards, terminated, truncated, {}

    def episode_metrics(self) -> dict[str, float]:
        """Return means over recent episodes by the field's names, and what was logged since the last call."""
        known = {"Train/mean_reward": self._rewards, "Train/mean_episode_length": self._lengths, **self._log}
        self._log = {}
        return {tag: fmean(values) for tag, values in known.items() if values}

    def render(self, *args: Any, **kwargs: Any) -> None:
        """Nothing to show."""

    def close(self) -> None:
        """Leave the environment to its owner."""

    def _tensor(self, groups: Mapping[str, NDArray[np.float32]]) -> torch.Tensor:
        for name, values in groups.items():
            if not np.isfinite(values).all():
                raise NotFinite(f"the observations '{name}'")
        self._critic = torch.tensor(groups["critic"]) if "critic" in groups else None
        return torch.tensor(groups["policy"])


class SkrlPolicy(GaussianMixin, Model):  # type: ignore[misc]
    """A Gaussian policy whose standard deviation does not depend on what it sees."""

    def __init__(self, env: SkrlEnv, hidden: Sequence[int], activation: str, initial_log_std: float) -> None:
        Model.__init__(
            self, observation_space=env.observation_space, action_space=env.action_space, device=torch.device("cpu")
        )
        GaussianMixin.__init__(self)
        self.net_container = _layers(self.num_observations, hidden, self.num_actions, activation)
        self.log_std_parameter = nn.Parameter(torch.full((self.num_actions,), initial_log_std))

    def compute(self, inputs: Mapping[str, object], role: str = "") -> tuple[torch.Tensor, dict[str, object]]:
        """Return the mean actions, (N, num_actions), and the logarithm of their standard deviation."""
        return self.net_container(inputs["observations"]), {"log_std": self.log_std_parameter}


class Value(DeterministicMixin, Model):  # type: ignore[misc]
    """The value of what the critic sees: the state where the task has one."""

    def __init__(self, env: SkrlEnv, hidden: Sequence[int], activation: str) -> None:
        Model.__init__(
            self,
            observation_space=env.observation_space,
            state_space=env.state_space,
            action_space=env.action_space,
            device=torch.device("cpu"),
        )
        DeterministicMixin.__init__(self)
        self._sees = "states" if env.state_space else "observations"
        size = self.num_states if env.state_space else self.num_observations
        self.net_container = _layers(size, hidden, 1, activation)

    def compute(self, inputs: Mapping[str, object], role: str = "") -> tuple[torch.Tensor, dict[str, object]]:
        """Return the value, (N, 1)."""
        return self.net_container(inputs[self._sees]), {}


def _layers(inputs: int, hidden: Sequence[int], outputs: int, activation: str) -> nn.Sequential:
    layers: list[nn.Module] = []
    for width in hidden:
        layers += [nn.Linear(inputs, width), activation_module(activation, "agent.activation")]
        inputs = width
    return nn.Sequential(*layers, nn.Linear(inputs, outputs))


def _box(size: int) -> gymnasium.Space[Any]:
    return gymnasium.spaces.Box(-np.inf, np.inf, (size,), np.float32)
