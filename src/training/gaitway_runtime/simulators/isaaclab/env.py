"""An Isaac Lab environment as the evaluation steps it: numpy in, numpy out, every number of the step that made it.

Learners do not come through here but through ``native.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ..base import Mirror, Native, StateTree, Transition
from .contract import contract_of, quaternion_order
from .groups import policy_groups
from .measuring import measurements_of, robot, tensor
from .native import Agent, native
from .saving import NOT_RESTORED, environment_state, load_environment_state

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ...spec.contract import PolicyContract


class IsaacLabEnv:
    """A batch of worlds of one task; see :class:`gaitway_runtime.simulators.base.Env`.

    Args:
        env: What ``gymnasium.make`` returned: a ``ManagerBasedRLEnv`` or a ``DirectRLEnv``, of 2.x or 3.0.
        task: The task's name, as the gate and the contract have it.
        release: Release of Isaac Lab.
        agent: The task's own settings for a learning library; they name the policy's observation groups.
    """

    not_restored = NOT_RESTORED

    def __init__(self, env: Any, *, task: str, release: str, agent: Agent | None = None) -> None:
        self.task, self.release = task, release
        self.wrapped, self.unwrapped = env, env.unwrapped
        self.num_envs = int(self.unwrapped.num_envs)
        self.step_dt = float(self.unwrapped.step_dt)
        self.max_episode_length = int(self.unwrapped.max_episode_length)
        self.observation_sizes: Mapping[str, int] = observation_sizes(self.unwrapped)
        self.num_actions = action_size(self.unwrapped)
        self.policy_groups: Sequence[str] = policy_groups(agent.config if agent else None, self.observation_sizes)
        self.mirrors: Sequence[Mirror] = ()
        self._agent = agent
        self._native: Native | None = None
        self._contract: PolicyContract | None = None
        self._seen: _Seen | None = None
        self._quaternion = quaternion_order()

    @property
    def contract(self) -> PolicyContract:
        """The policy contract: what the policy sees and what its outputs mean here."""
        if self._contract is None:
            self._contract = contract_of(
                self.unwrapped,
                self.task,
                simulator=f"isaaclab {self.release}".strip(),
                groups=self.policy_groups,
            )
        return self._contract

    @property
    def episode_length(self) -> NDArray[np.int64]:
        """Control steps since each world's last reset, (N,), as a copy: assign it to change it."""
        return _array(self.unwrapped.episode_length_buf).astype(np.int64)

    @episode_length.setter
    def episode_length(self, steps: NDArray[np.int64]) -> None:
        self.unwrapped.episode_length_buf[:] = torch.as_tensor(steps, device=self.unwrapped.device)

    @property
    def env_steps(self) -> int:
        """Environment steps since training began; Isaac Lab's curricula and ramps follow it."""
        return int(self.unwrapped.common_step_counter) * self.num_envs

    @env_steps.setter
    def env_steps(self, steps: int) -> None:
        self.unwrapped.common_step_counter = steps // self.num_envs

    def native(self, library: str, wrap: Callable[[Any, Any], Native]) -> Native:
        """See :class:`gaitway_runtime.simulators.base.TrainsNatively`."""
        if self._native is None:
            self._native = native(self.wrapped, library, self._agent, wrap)
        return self._native

    def reset(self, seed: int | None = None) -> Mapping[str, NDArray[np.float32]]:
        """Start a new episode in every world and return the first observations."""
        self._watched()
        with torch.inference_mode():
            observations, _ = self.wrapped.reset(seed=seed)
        return self._groups(observations)

    def step(self, actions: NDArray[np.float32]) -> Transition:
        """Apply raw policy outputs, shape (N, num_actions), for one control step."""
        seen = self._watched()
        with torch.inference_mode():
            chosen = torch.as_tensor(actions, device=self.unwrapped.device)
            observations, rewards, terminated, truncated, extras = self.wrapped.step(chosen)
        total = _array(rewards).astype(np.float32)
        return Transition(
            observations=self._groups(observations),
            rewards=total,
            task_rewards=total,
            terminated=_array(terminated).astype(np.bool_),
            truncated=_array(truncated).astype(np.bool_),
            reward_terms=seen.reward_terms,
            diagnostics=seen.diagnostics,
            diverged=~np.isfinite(total),
            log={tag: float(value) for tag, value in extras.get("log", {}).items()},
        )

    def snapshot(self) -> NDArray[np.float64]:
        """Return the robot's position in its world, quaternion (w, x, y, z) and joint positions, (N, 7 + joints)."""
        found = robot(self.unwrapped)
        if found is None:
            return np.zeros((self.num_envs, 0))
        place = tensor(found.data.root_pos_w) - tensor(self.unwrapped.scene.env_origins)
        turned = tensor(found.data.root_quat_w)
        if self._quaternion == "xyzw":
            turned = turned[:, [3, 0, 1, 2]]
        return np.concatenate(
            [_array(place), _array(turned), _array(tensor(found.data.joint_pos))], axis=1, dtype=float
        )

    def training_state(self) -> StateTree:
        """See :class:`gaitway_runtime.simulators.base.KeepsState`."""
        return environment_state(self.unwrapped)

    def load_training_state(self, state: StateTree) -> None:
        """See :class:`gaitway_runtime.simulators.base.KeepsState`."""
        load_environment_state(self.unwrapped, state)

    def close(self) -> None:
        """Leave the environment to :data:`.application.APPLICATION`, which closes it when nothing can be lost."""

    def _watched(self) -> _Seen:
        """Return what a step shows. Watching begins with the first call: learners do not come here and pay nothing."""
        if self._seen is None:
            self._seen = _Seen(self.unwrapped, self.task)
        return self._seen

    def _groups(self, observations: Mapping[str, Any]) -> dict[str, NDArray[np.float32]]:
        return {name: _array(observations[name]).astype(np.float32) for name in self.observation_sizes}


class _Seen:
    """What a step was worth and what was measured, caught before Isaac Lab resets the worlds that ended."""

    def __init__(self, env: Any, task: str) -> None:
        self.reward_terms: Mapping[str, NDArray[np.float32]] = {}
        self.diagnostics: Mapping[str, NDArray[np.float32]] = {}
        self._env = env
        self._measurements = measurements_of(env, task)
        # Rewards are computed once a step, after the physics and before any reset, in either workflow.
        owner, name = (env.reward_manager, "compute") if hasattr(env, "reward_manager") else (env, "_get_rewards")
        self._compute = getattr(owner, name)
        setattr(owner, name, self._computing)

    def _computing(self, *args: Any, **kwargs: Any) -> Any:
        rewards = self._compute(*args, **kwargs)
        self.diagnostics = {name: _array(measure(self._env)) for name, measure in self._measurements.items()}
        manager = getattr(self._env, "reward_manager", None)
        if manager is not None:
            shares = _array(manager._step_reward) * self._env.step_dt
            self.reward_terms = {name: shares[:, number] for number, name in enumerate(manager.active_terms)}
        return rewards


def observation_sizes(env: Any) -> dict[str, int]:
    """Return the size of each observation group that is one vector; images and groups of several parts are left out."""
    space = env.single_observation_space
    return {
        name: int(box.shape[0]) for name, box in space.spaces.items() if len(getattr(box, "shape", None) or ()) == 1
    }


def action_size(env: Any) -> int:
    """Return the length of the action vector."""
    manager = getattr(env, "action_manager", None)
    return int(manager.total_action_dim) if manager is not None else int(np.prod(env.single_action_space.shape))


def _array(values: Any) -> NDArray[Any]:
    found: NDArray[Any] = values.detach().cpu().numpy().copy()
    return found
