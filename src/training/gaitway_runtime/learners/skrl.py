"""Training with skrl's PPO on any environment of ``simulators/base.py``.

skrl counts control steps; an iteration here is one rollout and the update that follows it, as in rsl_rl.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from skrl.agents.torch.ppo import PPO
from skrl.memories.torch import RandomMemory
from skrl.resources.preprocessors.torch import RunningStandardScaler
from skrl.resources.schedulers.torch import KLAdaptiveLR
from skrl.trainers.torch import SequentialTrainer

from ..job import TrainJob
from ..overrides import apply_overrides
from ..policies.marker import MARKER_KEY
from .base import Hooks, Mark, Outcome, Start
from .checkpoints import (
    check_learner,
    check_normalizer,
    check_resumable,
    check_widths,
    marks_for,
    read_start,
    widths_of,
)
from .config import SkrlCfg
from .params import write_agent_yaml
from .recipes import recipe_for
from .session import Session, conduct
from .skrl_models import Policy, SkrlEnv, Value
from .skrl_ranks import tell_of_group
from .skrl_watch import attach
from .taking_over import SKRL_OPTIMIZER, load_skrl

if TYPE_CHECKING:
    from ..simulators.base import Env

NAME = "skrl"


def configure(job: TrainJob) -> SkrlCfg:
    """Return the recipe of the job's task with the job's overrides applied.

    Raises:
        UsageError: An override names an unknown key, or a value of another type.
    """
    return apply_overrides(recipe_for(job.task).skrl, "agent", job.overrides)


def check(job: TrainJob, env: Env, start: Start) -> None:
    """See :meth:`.base.LearnerModule.check`."""
    config = configure(job)
    if start.checkpoint is None:
        return
    saved = read_start(start.checkpoint)
    check_learner(saved, NAME)
    if start.mode == "resume":
        check_resumable(saved, SKRL_OPTIMIZER)
    sizes = env.observation_sizes
    ends = {"policy": (sizes["policy"], env.num_actions), "value": (sizes.get("critic", sizes["policy"]), 1)}
    for network, (inputs, outputs) in ends.items():
        wants = (inputs, *config.hidden_dims, outputs)
        check_widths(
            saved, network, widths_of(saved.content.get(network, {}), r"net_container\.\d+"), wants, "hidden_dims"
        )
    has = "observation_preprocessor" in saved.content
    check_normalizer(saved, has, config.observation_preprocessor, "observation_preprocessor")


def train(job: TrainJob, env: Env, start: Start, output_dir: Path, hooks: Hooks, marks: Mapping[str, Mark]) -> Outcome:
    """See :meth:`.base.LearnerModule.train`."""
    config = configure(job)
    write_agent_yaml(job, config, output_dir, {"class": "PPO"})
    return conduct(
        job,
        env,
        start,
        output_dir,
        hooks,
        steps_per_iteration=config.rollouts * env.num_envs,
        threads=config.torch_threads,
        learn=lambda session: _learn(session, config, marks),
    )


def _learn(session: Session, config: SkrlCfg, marks: Mapping[str, Mark]) -> None:
    job, env = session.job, session.env
    tell_of_group()
    wrapped = SkrlEnv(env, job.seed, spread_episodes=config.init_at_random_ep_len)
    agent = _make_agent(config, wrapped)
    if session.saved:
        load_skrl(agent, session.saved, everything=session.resumed)
    attach(
        agent,
        session.watch,
        rollouts=config.rollouts,
        first=session.first,
        last=session.total - 1,
        save_interval=job.save_interval or session.total,
        steps=lambda: env.env_steps,
        metrics=lambda _: wrapped.episode_metrics(),
        marks=lambda iteration: {MARKER_KEY: {**_own_marks(config, env, iteration), **marks}},
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
    with session.watch.ends_with_its_numbers(agent.policy.state_dict):
        trainer.train()


def _make_agent(config: SkrlCfg, env: SkrlEnv) -> PPO:
    """Build skrl's agent; it writes nothing itself."""
    models = {
        "policy": Policy(env, config.hidden_dims, config.activation, config.initial_log_std),
        "value": Value(env, config.hidden_dims, config.activation),
    }
    settings: dict[str, Any] = {name: getattr(config, name) for name in _PASSED_ON}
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


def _scaler(what: str, size: Any, device: torch.device) -> dict[str, Any]:
    return {
        f"{what}_preprocessor": RunningStandardScaler,
        f"{what}_preprocessor_kwargs": {"size": size, "device": device},
    }


def _own_marks(config: SkrlCfg, env: Env, iteration: int) -> dict[str, Mark]:
    normalized = config.observation_preprocessor
    return marks_for(env, activation=config.activation, obs_normalization=normalized, iteration=iteration)
