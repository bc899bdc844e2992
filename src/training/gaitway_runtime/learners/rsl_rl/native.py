"""Training with rsl_rl's own runner on an environment that has a wrapper for it (Isaac Lab): tensors on the device.

The settings are the task's own. What releases of rsl_rl do differently is told apart by what is there, not by version:
from 4 on a configuration has an ``actor`` and a checkpoint an ``actor_state_dict``, before a ``policy`` and a
``model_state_dict``.
"""

from __future__ import annotations

import copy
import importlib.metadata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from ...simulators.base import Native
from ...spec.errors import UsageError
from ..base import LearnerTraining, Mark, TrainingScale
from ..checkpoints import SavedTraining, check_layout, check_normalizer, check_widths, marks_for, widths_of
from ..loop import TENSORBOARD, Session, marked, write_env_yaml
from ..monitor import NotFinite
from .older import converted
from .runner import RunnerState, attach, grouped_class, load_into

if TYPE_CHECKING:
    from ...simulators.base import NativeEnv

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


class RslRlNativeRun:
    """rsl_rl on an environment that brings its own settings; see :class:`..loop.LibraryRun`.

    Args:
        training: The training.

    Raises:
        ConfigError: The task has no settings for rsl_rl.
    """

    threads = None
    notes: Mapping[str, object] = {}

    def __init__(self, training: LearnerTraining) -> None:
        self._env, self._mode = cast("NativeEnv", training.env), training.start.mode
        self._native = self._env.native(NAME, wrap)
        self.config: Mapping[str, Any] = self._native.config
        self.steps_per_iteration = int(self.config["num_steps_per_env"]) * self._env.num_envs

    def scale(self) -> TrainingScale:
        """See :meth:`..loop.LibraryRun.scale`."""
        return TrainingScale(self._native.max_iterations, self._native.save_interval)

    def check_start(self, saved: SavedTraining) -> None:
        """See :meth:`..loop.LibraryRun.check_start`."""
        config, env, saved = self.config, self._env, self._readable(saved)
        check_layout(saved, ("actor_state_dict" in saved.content) == _has_models(config))
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

    def _readable(self, saved: SavedTraining) -> SavedTraining:
        """Return a checkpoint in this release's layout where its weights alone are taken."""
        if self._mode == "resume" or not _has_models(self.config):
            return saved
        spread = self.config["actor"].get("distribution_cfg") or {}
        return converted(saved, log_std=spread.get("std_type") == "log")

    def learn(self, session: Session) -> None:
        """See :meth:`..loop.LibraryRun.learn`."""
        _allow_tf32()
        write_env_yaml(self._native.task_config, session.training.output_dir)
        runner = _make_runner(session, self._native)
        if session.saved:
            load_into(runner, self._readable(session.saved), everything=session.resumed)
        runner.current_learning_iteration = session.first
        attach(
            runner,
            session.monitor,
            steps=session.steps,
            infos=lambda iteration: marked(self, session, iteration),
            save_interval=session.save_interval,
        )
        restored = session.keep_state(RunnerState(runner))
        spread = bool(self.config.get("init_at_random_ep_len", True)) and not restored
        with session.monitor.nan_guard(lambda: _all_weights(runner)):
            try:
                runner.learn(session.total - session.first, init_at_random_ep_len=spread)
            except ValueError as error:
                # rsl_rl's own check of what the environment returns.
                if "NaN" not in str(error):
                    raise
                raise NotFinite(str(error).split(" This usually")[0].rstrip(".")) from error

    def own_marks(self, iteration: int) -> dict[str, Mark]:
        """See :meth:`..loop.LibraryRun.own_marks`."""
        actor, clip = network_of(self.config, "actor"), self.config.get("clip_actions")
        return marks_for(
            self._env,
            activation=actor.activation,
            obs_normalization=actor.normalized,
            clip_actions=float(clip) if isinstance(clip, (int, float)) else None,
            iteration=iteration,
        )


def wrap(env: Any, config: Any) -> Native:
    """Return an Isaac Lab environment in Isaac Lab's own wrapper for rsl_rl.

    Args:
        env: What ``gymnasium.make`` returned.
        config: The task's settings for rsl_rl, Isaac Lab's configuration object.
    """
    from isaaclab_rl import rsl_rl as lab

    upgrade = getattr(lab, "handle_deprecated_rsl_rl_cfg", None)  # releases that know several rsl_rl have it
    if upgrade is not None:
        config = upgrade(config, importlib.metadata.version("rsl-rl-lib"))
    return Native(
        env=lab.RslRlVecEnvWrapper(env, clip_actions=getattr(config, "clip_actions", None)),
        config=config.to_dict(),
        task_config=env.unwrapped.cfg.to_dict(),
        device=str(env.unwrapped.device),
        max_iterations=int(config.max_iterations),
        save_interval=int(config.save_interval),
    )


def _allow_tf32() -> None:
    """Multiply matrices on a GPU as Isaac Lab's own script for rsl_rl does: faster, with ten bits of mantissa."""
    import torch

    torch.backends.cuda.matmul.allow_tf32 = True
    torch.backends.cudnn.allow_tf32 = True


def _make_runner(session: Session, native: Native) -> Any:
    from rsl_rl import runners

    job, output_dir = session.job, session.training.output_dir

    # A copy: releases before 4 take what they use out of it.
    settings = {**copy.deepcopy(dict(native.config)), "seed": job.seed, "save_interval": session.save_interval}
    found = getattr(runners, str(native.config.get("class_name") or "OnPolicyRunner"))
    runner_class = grouped_class(found, session.monitor.group.rank)
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


def _has_models(config: Mapping[str, object]) -> bool:
    return bool(config.get("actor"))


def _weights(saved: SavedTraining, name: str) -> Mapping[str, object]:
    """Return the tensors of a network, without the part of their names that the releases have changed."""
    if "actor_state_dict" in saved.content:
        return {key.removeprefix("mlp."): value for key, value in saved.content[f"{name}_state_dict"].items()}
    prefix = f"{name}."
    model = saved.content["model_state_dict"]
    return {key.removeprefix(prefix): value for key, value in model.items() if key.startswith(prefix)}


def _all_weights(runner: Any) -> Mapping[str, object]:
    algorithm = runner.alg
    if hasattr(algorithm, "save"):
        found: Mapping[str, object] = algorithm.save()
        return found
    policy = getattr(algorithm, "policy", None) or algorithm.actor_critic
    return {"model_state_dict": policy.state_dict()}
