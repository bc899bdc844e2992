"""Training with skrl's own runner on an environment that has a wrapper for it (Isaac Lab): tensors on the device.

The settings are the task's own, in the form of skrl's runner: models, memory, agent and trainer from one document.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from ...simulators.base import Native
from ...spec.errors import UsageError
from ..base import LearnerTraining, Mark, TrainingScale
from ..checkpoints import SavedTraining, check_normalizer, check_widths, marks_for, widths_of
from ..loop import TENSORBOARD, Session, marked, write_env_yaml
from .agent import AgentState, attach, load_into

if TYPE_CHECKING:
    from ...simulators.base import NativeEnv

NAME = "skrl"

SAME_METRICS: Mapping[str, str] = {
    "Train/mean_reward": "Reward / Total reward (mean)",
    "Train/mean_episode_length": "Episode / Total timesteps (mean)",
}
"""The names that every learner's metrics have, and skrl's name of each."""


class SkrlNativeRun:
    """skrl on an environment that brings its own settings; see :class:`..loop.LibraryRun`.

    Args:
        training: The training.

    Raises:
        ConfigError: The task has no settings for skrl.
    """

    threads = None
    notes: Mapping[str, object] = {}

    def __init__(self, training: LearnerTraining) -> None:
        self._env = cast("NativeEnv", training.env)
        self._native = self._env.native(NAME, wrap)
        self.config: Mapping[str, Any] = self._native.config
        self.steps_per_iteration = _rollouts(self.config) * self._env.num_envs

    def scale(self) -> TrainingScale:
        """See :meth:`..loop.LibraryRun.scale`."""
        return TrainingScale(self._native.max_iterations, self._native.save_interval)

    def check_start(self, saved: SavedTraining) -> None:
        """See :meth:`..loop.LibraryRun.check_start`."""
        normalized = any(f"{name}_preprocessor" in saved.content for name in ("observation", "state"))
        check_normalizer(saved, normalized, _normalized(self.config), "agent.observation_preprocessor")
        networks, env = self.config["models"]["policy"]["network"], self._env
        if len(networks) == 1 and "policy" in env.observation_sizes:
            wants = (env.observation_sizes["policy"], *networks[0]["layers"], env.num_actions)
            has = widths_of(saved.content.get("policy", {}), r"\w+_container\.\d+|policy_layer")
            check_widths(saved, "policy", has, wants, "models.policy.network.0.layers")

    def learn(self, session: Session) -> None:
        """See :meth:`..loop.LibraryRun.learn`."""
        write_env_yaml(self._native.task_config, session.training.output_dir)
        runner = _make_runner(session, self._native)
        agent = runner.agent
        if session.saved:
            load_into(agent, session.saved, everything=session.resumed)
        attach(
            agent,
            session.monitor,
            rollouts=_rollouts(self.config),
            first=session.first,
            last=session.total - 1,
            save_interval=session.save_interval,
            steps=session.steps,
            metrics=_EpisodeMeans(),
            marks=lambda iteration: marked(self, session, iteration),
        )
        session.keep_state(AgentState(agent, self._native.env))
        with session.monitor.nan_guard(agent.policy.state_dict):
            runner.run()

    def own_marks(self, iteration: int) -> dict[str, Mark]:
        """See :meth:`..loop.LibraryRun.own_marks`."""
        activations = self.config["models"]["policy"]["network"][0]["activations"]
        # A list with one for each layer is kept whole: the marker's reader takes names with commas between.
        name = activations if isinstance(activations, str) else ",".join(map(str, activations))
        return marks_for(self._env, activation=name, obs_normalization=_normalized(self.config), iteration=iteration)


def wrap(env: Any, config: dict[str, Any]) -> Native:
    """Return an Isaac Lab environment in Isaac Lab's own wrapper for skrl.

    Args:
        env: What ``gymnasium.make`` returned.
        config: The task's settings for skrl, a dictionary.
    """
    from isaaclab_rl.skrl import SkrlVecEnvWrapper

    rollouts = int(config["agent"]["rollouts"])
    iterations = max(1, math.ceil(int(config["trainer"]["timesteps"]) / rollouts))
    interval = config["agent"].get("experiment", {}).get("checkpoint_interval", "auto")
    # skrl's "auto" is a tenth of the training; it counts control steps.
    saves = iterations / 10 if interval == "auto" else int(interval) / rollouts
    return Native(
        env=SkrlVecEnvWrapper(env, ml_framework="torch"),
        config=config,
        task_config=env.unwrapped.cfg.to_dict(),
        device=str(env.unwrapped.device),
        max_iterations=iterations,
        save_interval=max(1, round(saves)),
    )


def _make_runner(session: Session, native: Native) -> Any:
    from skrl.utils.runner.torch import Runner

    rollouts = _rollouts(native.config)
    settings = copy.deepcopy(dict(native.config))
    settings["seed"] = session.job.seed + session.first
    settings["trainer"] |= {
        "timesteps": (session.total - session.first) * rollouts,
        "close_environment_at_exit": False,
        "disable_progressbar": True,
    }
    settings["agent"]["experiment"] = {
        **(settings["agent"].get("experiment") or {}),
        "directory": str(session.training.output_dir),
        "experiment_name": TENSORBOARD,
        "write_interval": rollouts,
        "checkpoint_interval": 0,
    }
    try:
        return Runner(native.env, settings)
    except (ValueError, TypeError, KeyError) as error:
        raise UsageError(f"skrl refuses this configuration: {error}", source="params/agent.yaml, --set") from error


class _EpisodeMeans:
    """skrl's means over ended episodes, by all learners' names; the last ones where none has ended since."""

    def __init__(self) -> None:
        self._known: dict[str, float] = {}

    def __call__(self, tracked: Mapping[str, float]) -> dict[str, float]:
        self._known |= {name: tracked[own] for name, own in SAME_METRICS.items() if own in tracked}
        return dict(self._known)


def _rollouts(config: Mapping[str, Any]) -> int:
    return int(config["agent"]["rollouts"])


def _normalized(config: Mapping[str, Any]) -> bool:
    """Whether the policy's observations are standardised; before skrl 2 that was called the state's preprocessor."""
    agent = config["agent"]
    name = "observation_preprocessor" if "observation_preprocessor" in agent else "state_preprocessor"
    return bool(agent.get(name))
