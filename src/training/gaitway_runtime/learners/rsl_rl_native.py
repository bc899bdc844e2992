"""Training with rsl_rl's own runner on an environment that has a wrapper for it (Isaac Lab): tensors on the device.

The settings are the task's own. What releases of rsl_rl do differently is told apart by what is there, not by version:
from 4 on a configuration has an ``actor`` and a checkpoint an ``actor_state_dict``, before a ``policy`` and a
``model_state_dict``.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import UsageError
from ..job import TrainJob
from ..policies.marker import MARKER_KEY
from .base import Hooks, Mark, Outcome, Start
from .checkpoints import (
    SavedTraining,
    check_layout,
    check_learner,
    check_normalizer,
    check_resumable,
    check_widths,
    marks_for,
    read_start,
    widths_of,
)
from .params import TENSORBOARD, write_agent_yaml, write_env_yaml
from .rsl_rl_ranks import of_group
from .rsl_rl_watch import attach
from .session import Session, conduct
from .taking_over import load_rsl_rl
from .watch import NotFinite

if TYPE_CHECKING:
    from ..simulators.base import Native, NativeEnv

NAME = "rsl_rl"


@dataclass(frozen=True)
class Network:
    """One of the networks, as a configuration has it."""

    hidden: Sequence[int]
    activation: str
    normalized: bool
    groups: Sequence[str]
    """Observation groups that it sees."""
    plain: bool
    """Whether it is a multilayer perceptron and nothing else."""
    key: str
    """Where the hidden layers stand in the configuration."""


def check(job: TrainJob, env: NativeEnv, start: Start) -> None:
    """See :meth:`.base.LearnerModule.check`."""
    config = env.native(NAME).config
    if start.checkpoint is None:
        return
    saved = read_start(start.checkpoint)
    check_learner(saved, NAME)
    check_layout(saved, ("actor_state_dict" in saved.content) == _has_models(config))
    if start.mode == "resume":
        check_resumable(saved, "optimizer_state_dict")
    for name, outputs in (("actor", env.num_actions), ("critic", 1)):
        network = network_of(config, name)
        if not network.plain or any(group not in env.observation_sizes for group in network.groups):
            continue  # loading compares every tensor
        weights = _weights(saved, name)
        inputs = sum(env.observation_sizes[group] for group in network.groups)
        check_widths(saved, name, widths_of(weights, r"\d+"), (inputs, *network.hidden, outputs), network.key)
        if _has_models(config):
            normalized = "obs_normalizer._mean" in weights
            check_normalizer(saved, normalized, network.normalized, f"{name}.obs_normalization")


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
        steps_per_iteration=int(native.config["num_steps_per_env"]) * env.num_envs,
        learn=lambda session: _learn(session, native, env, output_dir, marks),
    )


def _learn(session: Session, native: Native, env: NativeEnv, output_dir: Path, marks: Mapping[str, Mark]) -> None:
    _allow_tf32()
    runner = _make_runner(session.job, native, output_dir)
    if session.saved:
        load_rsl_rl(runner, session.saved, everything=session.resumed)
    runner.current_learning_iteration = session.first
    attach(
        runner,
        session.watch,
        steps=lambda: env.env_steps,
        infos=lambda iteration: {MARKER_KEY: {**_own_marks(native.config, env, iteration), **marks}},
    )
    spread = bool(native.config.get("init_at_random_ep_len", True))
    with session.watch.ends_with_its_numbers(lambda: _all_weights(runner)):
        try:
            runner.learn(session.total - session.first, init_at_random_ep_len=spread)
        except ValueError as error:
            # rsl_rl's own check of what the environment returns.
            if "NaN" not in str(error):
                raise
            raise NotFinite(str(error).split(" This usually")[0].rstrip(".")) from error


def _allow_tf32() -> None:
    """Multiply matrices on a GPU as Isaac Lab's own script for rsl_rl does: faster, with ten bits of mantissa."""
    import torch

    torch.backends.cuda.matmul.allow_tf32 = True
    torch.backends.cudnn.allow_tf32 = True


def _make_runner(job: TrainJob, native: Native, output_dir: Path) -> Any:
    from rsl_rl import runners

    # A copy: releases before 4 take what they use out of it.
    settings = {**copy.deepcopy(dict(native.config)), "seed": job.seed, "save_interval": job.save_interval}
    runner_class = of_group(getattr(runners, str(native.config.get("class_name") or "OnPolicyRunner")))
    try:
        runner = runner_class(native.env, settings, log_dir=str(output_dir / TENSORBOARD), device=native.device)
    except (ValueError, TypeError, AttributeError) as error:
        raise UsageError(f"rsl_rl refuses this configuration: {error}", source="params/agent.yaml, --set") from error
    # The payload's hash and commit are on the run; rsl_rl would write down its own repository.
    getattr(runner, "logger", runner).git_status_repos.clear()
    return runner


def network_of(config: Mapping[str, Any], name: str) -> Network:
    """Return the actor or the critic as a configuration has it.

    Args:
        config: rsl_rl's configuration, of any release.
        name: ``actor`` or ``critic``.
    """
    groups = config.get("obs_groups") or {}
    if _has_models(config):
        model = config[name]
        return Network(
            hidden=tuple(model["hidden_dims"]),
            activation=str(model["activation"]),
            normalized=bool(model.get("obs_normalization")),
            groups=tuple(groups.get(name) or ("policy",)),
            plain=model.get("class_name", "MLPModel") == "MLPModel",
            key=f"{name}.hidden_dims",
        )
    policy = config["policy"]
    normalized = policy.get(f"{name}_obs_normalization")
    return Network(
        hidden=tuple(policy[f"{name}_hidden_dims"]),
        activation=str(policy["activation"]),
        # Isaac Lab writes {} for what was never set.
        normalized=bool(config.get("empirical_normalization") if normalized in (None, {}) else normalized),
        groups=tuple(groups.get("policy" if name == "actor" else name) or ("policy",)),
        plain=policy.get("class_name", "ActorCritic") == "ActorCritic",
        key=f"policy.{name}_hidden_dims",
    )


def _has_models(config: Mapping[str, Any]) -> bool:
    return bool(config.get("actor"))


def _weights(saved: SavedTraining, name: str) -> Mapping[str, Any]:
    """Return the tensors of a network, without the part of their names that the releases have changed."""
    if "actor_state_dict" in saved.content:
        return {key.removeprefix("mlp."): value for key, value in saved.content[f"{name}_state_dict"].items()}
    prefix = f"{name}."
    model = saved.content["model_state_dict"]
    return {key.removeprefix(prefix): value for key, value in model.items() if key.startswith(prefix)}


def _all_weights(runner: Any) -> Mapping[str, Any]:
    algorithm = runner.alg
    if hasattr(algorithm, "save"):
        found: Mapping[str, Any] = algorithm.save()
        return found
    policy = getattr(algorithm, "policy", None) or algorithm.actor_critic
    return {"model_state_dict": policy.state_dict()}


def _own_marks(config: Mapping[str, Any], env: NativeEnv, iteration: int) -> dict[str, Mark]:
    actor = network_of(config, "actor")
    clip = config.get("clip_actions")
    return marks_for(
        env,
        activation=actor.activation,
        obs_normalization=actor.normalized,
        clip_actions=float(clip) if isinstance(clip, (int, float)) else None,
        iteration=iteration,
    )
