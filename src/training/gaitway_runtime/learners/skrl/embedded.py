"""Training with skrl's PPO on any environment of ``simulators/base.py``.

skrl counts control steps; an iteration here is one rollout and the update that follows it, as in rsl_rl.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from skrl.agents.torch.ppo import PPO
from skrl.memories.torch import RandomMemory
from skrl.resources.preprocessors.torch import RunningStandardScaler
from skrl.resources.schedulers.torch import KLAdaptiveLR
from skrl.trainers.torch import SequentialTrainer

from ...spec.dotted_keys import apply_overrides
from ...spec.job import TrainJob
from ...tasks.learning import CPU_SKRL, SkrlCfg, recipe_for
from ..base import LearnerTraining, Mark
from ..checkpoints import SavedTraining, check_normalizer, check_widths, marks_for, widths_of
from ..loop import Session, marked
from .agent import AgentState, attach, load_into
from .models import SkrlEnv, SkrlPolicy, Value


class SkrlEmbeddedRun:
    """skrl on one environment; see :class:`..loop.LibraryRun`.

    Args:
        training: The training.

    Raises:
        UsageError: An override names an unknown key, or a value of another type.
    """

    def __init__(self, training: LearnerTraining) -> None:
        self.config = configure(training.job)
        self.threads: int | None = self.config.torch_threads
        self.steps_per_iteration = self.config.rollouts * training.env.num_envs
        self.notes: Mapping[str, object] = {"class": "PPO"}
        self._env = training.env

    def scale(self) -> None:
        """See :meth:`..loop.LibraryRun.scale`."""

    def check_start(self, saved: SavedTraining) -> None:
        """See :meth:`..loop.LibraryRun.check_start`."""
        config, sizes = self.config, self._env.observation_sizes
        ends = {"policy": (sizes["policy"], self._env.num_actions), "value": (sizes.get("critic", sizes["policy"]), 1)}
        for network, (inputs, outputs) in ends.items():
            has = widths_of(saved.content.get(network, {}), r"net_container\.\d+")
            check_widths(saved, network, has, (inputs, *config.hidden_dims, outputs), "hidden_dims")
        normalized = "observation_preprocessor" in saved.content
        check_normalizer(saved, normalized, config.observation_preprocessor, "observation_preprocessor")

    def learn(self, session: Session) -> None:
        """See :meth:`..loop.LibraryRun.learn`."""
        config, env = self.config, session.env
        wrapped = SkrlEnv(env, session.job.seed, spread_episodes=config.init_at_random_ep_len)
        agent = _make_agent(config, wrapped)
        if session.saved:
            load_into(agent, session.saved, everything=session.resumed)
        attach(
            agent,
            session.monitor,
            rollouts=config.rollouts,
            first=session.first,
            last=session.total - 1,
            save_interval=session.save_interval,
            steps=session.steps,
            metrics=lambda _: wrapped.episode_metrics(),
            marks=lambda iteration: marked(self, session, iteration),
        )
        trainer = SequentialTrainer(
            env=wrapped,
            agents=agent,
            cfg={
                "timesteps": (session.total - session.first) * config.rollouts,
                "headless": True,
                "disable_progressbar": True,
                "close_environment_at_exit": False,
            },
        )
        session.keep_state(AgentState(agent, wrapped))
        with session.monitor.nan_guard(agent.policy.state_dict):
            trainer.train()

    def own_marks(self, iteration: int) -> dict[str, Mark]:
        """See :meth:`..loop.LibraryRun.own_marks`."""
        config = self.config
        return marks_for(
            self._env,
            activation=config.activation,
            obs_normalization=config.observation_preprocessor,
            iteration=iteration,
        )


def configure(job: TrainJob) -> SkrlCfg:
    """Return the recipe of the job's task with the job's overrides applied.

    Raises:
        UsageError: An override names an unknown key, or a value of another type.
    """
    recipe = recipe_for(job.task, "skrl", CPU_SKRL)
    return apply_overrides(recipe, "agent", job.overrides) if job.overrides else recipe


def _make_agent(config: SkrlCfg, env: SkrlEnv) -> PPO:
    """Build skrl's agent; it writes nothing itself."""
    models = {
        "policy": SkrlPolicy(env, config.hidden_dims, config.activation, config.initial_log_std),
        "value": Value(env, config.hidden_dims, config.activation),
    }
    settings: dict[str, object] = {name: getattr(config, name) for name in _PASSED_ON}
    settings |= {
        "learning_rate_scheduler": KLAdaptiveLR,
        "learning_rate_scheduler_kwargs": {"kl_threshold": config.kl_threshold, "min_lr": 1e-5},
        "experiment": {"write_interval": 0, "checkpoint_interval": 0},
    }
    if config.rewards_shaper_scale != 1.0:
        settings["rewards_shaper"] = lambda rewards, *_: rewards * config.rewards_shaper_scale
    device = torch.device("cpu")
    if config.observation_preprocessor:
        settings |= _scaler("observation", env.observation_space, device)
        if env.state_space:
            settings |= _scaler("state", env.state_space, device)
    if config.value_preprocessor:
        settings |= _scaler("value", 1, device)
    return PPO(
        models=models,
        memory=RandomMemory(memory_size=config.rollouts, num_envs=env.num_envs, device=device),
        observation_space=env.observation_space,
        state_space=env.state_space,
        action_space=env.action_space,
        device=device,
        cfg=settings,
    )


_PASSED_ON = (
    "rollouts",
    "learning_epochs",
    "mini_batches",
    "learning_rate",
    "discount_factor",
    "gae_lambda",
    "ratio_clip",
    "value_clip",
    "grad_norm_clip",
    "entropy_loss_scale",
    "value_loss_scale",
    "time_limit_bootstrap",
)
"""Fields that skrl's PPO has by the same name."""


def _scaler(what: str, size: Any, device: torch.device) -> dict[str, object]:
    return {
        f"{what}_preprocessor": RunningStandardScaler,
        f"{what}_preprocessor_kwargs": {"size": size, "device": device},
    }
