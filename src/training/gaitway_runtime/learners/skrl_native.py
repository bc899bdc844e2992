"""Training with skrl's own runner on an environment that has a wrapper for it (Isaac Lab): tensors on the device.

The settings are the task's own, in the form of skrl's runner: models, memory, agent and trainer from one document.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import UsageError
from ..job import TrainJob
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
from .params import TENSORBOARD, write_agent_yaml, write_env_yaml
from .session import Session, conduct
from .skrl_watch import attach
from .taking_over import SKRL_OPTIMIZER, load_skrl

if TYPE_CHECKING:
    from ..simulators.base import Native, NativeEnv

NAME = "skrl"

SAME_METRICS: Mapping[str, str] = {
    "Train/mean_reward": "Reward / Total reward (mean)",
    "Train/mean_episode_length": "Episode / Total timesteps (mean)",
}
"""The names that every learner's metrics have, and skrl's name of each."""


def check(job: TrainJob, env: NativeEnv, start: Start) -> None:
    """See :meth:`.base.LearnerModule.check`."""
    config = env.native(NAME).config
    if start.checkpoint is None:
        return
    saved = read_start(start.checkpoint)
    check_learner(saved, NAME)
    if start.mode == "resume":
        check_resumable(saved, SKRL_OPTIMIZER)
    check_normalizer(
        saved,
        any(f"{name}_preprocessor" in saved.content for name in ("observation", "state")),
        _normalized(config),
        "agent.observation_preprocessor",
    )
    networks = config["models"]["policy"]["network"]
    if len(networks) == 1 and "policy" in env.observation_sizes:
        wants = (env.observation_sizes["policy"], *networks[0]["layers"], env.num_actions)
        has = widths_of(saved.content.get("policy", {}), r"\w+_container\.\d+|policy_layer")
        check_widths(saved, "policy", has, wants, "models.policy.network.0.layers")


def train(
    job: TrainJob, env: NativeEnv, start: Start, output_dir: Path, hooks: Hooks, marks: Mapping[str, Mark]
) -> Outcome:
    """See :meth:`.base.LearnerModule.train`."""
    native = env.native(NAME)
    write_agent_yaml(job, native.config, output_dir, {})
    write_env_yaml(native.task_config, output_dir)
    return conduct(
        job,
        env,
        start,
        output_dir,
        hooks,
        steps_per_iteration=_rollouts(native.config) * env.num_envs,
        learn=lambda session: _learn(session, native, env, output_dir, marks),
    )


def _learn(session: Session, native: Native, env: NativeEnv, output_dir: Path, marks: Mapping[str, Mark]) -> None:
    runner = _make_runner(session, native, output_dir)
    agent = runner.agent
    if session.saved:
        load_skrl(agent, session.saved, everything=session.resumed)
    attach(
        agent,
        session.watch,
        rollouts=_rollouts(native.config),
        first=session.first,
        last=session.total - 1,
        save_interval=session.job.save_interval or session.total,
        steps=lambda: env.env_steps,
        metrics=_EpisodeMeans(),
        marks=lambda iteration: {MARKER_KEY: {**_own_marks(native.config, env, iteration), **marks}},
    )
    with session.watch.ends_with_its_numbers(agent.policy.state_dict):
        runner.run()


def _make_runner(session: Session, native: Native, output_dir: Path) -> Any:
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
        "directory": str(output_dir),
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


def _own_marks(config: Mapping[str, Any], env: NativeEnv, iteration: int) -> dict[str, Mark]:
    activations = config["models"]["policy"]["network"][0]["activations"]
    name = activations if isinstance(activations, str) else next(iter(activations), "")
    return marks_for(env, activation=name, obs_normalization=_normalized(config), iteration=iteration)
