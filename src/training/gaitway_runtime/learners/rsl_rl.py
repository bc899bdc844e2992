"""Training with rsl_rl's ``OnPolicyRunner`` on any environment of ``simulators/base.py``."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from rsl_rl.runners import OnPolicyRunner

from ..errors import UsageError
from ..job import TrainJob
from ..overrides import apply_overrides
from ..policies.marker import MARKER_KEY
from .base import Hooks, Mark, Outcome, Start
from .checkpoints import (
    check_layout,
    check_learner,
    check_normalizer,
    check_resumable,
    check_widths,
    marks_for,
    read_start,
    widths_of,
)
from .config import ModelCfg, RslRlCfg
from .mirror import MirroredCopies
from .params import write_agent_yaml
from .precision import mix_precision, multiplies_bfloat16
from .recipes import recipe_for
from .rsl_rl_env import RslRlEnv
from .rsl_rl_ranks import of_group
from .rsl_rl_watch import attach
from .session import Session, conduct
from .taking_over import load_rsl_rl

if TYPE_CHECKING:
    from ..simulators.base import Env

NAME = "rsl_rl"
NETWORKS = ("actor", "critic")


def configure(job: TrainJob) -> RslRlCfg:
    """Return the recipe of the job's task with the job's overrides applied.

    Raises:
        UsageError: An override names an unknown key, or a value of another type.
    """
    return apply_overrides(recipe_for(job.task).rsl_rl, "agent", job.overrides)


def check(job: TrainJob, env: Env, start: Start) -> None:
    """See :meth:`.base.LearnerModule.check`."""
    config = configure(job)
    if start.checkpoint is None:
        return
    saved = read_start(start.checkpoint)
    check_learner(saved, NAME)
    check_layout(saved, all(f"{network}_state_dict" in saved.content for network in NETWORKS))
    if start.mode == "resume":
        check_resumable(saved, "optimizer_state_dict")
    models: dict[str, tuple[ModelCfg, int]] = {"actor": (config.actor, env.num_actions), "critic": (config.critic, 1)}
    for network, (model, outputs) in models.items():
        weights = saved.content[f"{network}_state_dict"]
        inputs = sum(env.observation_sizes[group] for group in _groups(env)[network])
        check_widths(
            saved,
            network,
            widths_of(weights, r"mlp\.\d+"),
            (inputs, *model.hidden_dims, outputs),
            f"{network}.hidden_dims",
        )
        check_normalizer(
            saved, "obs_normalizer._mean" in weights, model.obs_normalization, f"{network}.obs_normalization"
        )


def train(job: TrainJob, env: Env, start: Start, output_dir: Path, hooks: Hooks, marks: Mapping[str, Mark]) -> Outcome:
    """See :meth:`.base.LearnerModule.train`."""
    config = configure(job)
    write_agent_yaml(job, config, output_dir, {"class_name": "OnPolicyRunner", "obs_groups": _groups(env)})
    return conduct(
        job,
        env,
        start,
        output_dir,
        hooks,
        steps_per_iteration=config.num_steps_per_env * env.num_envs,
        threads=config.torch_threads,
        learn=lambda session: _learn(session, config, marks),
    )


def _learn(session: Session, config: RslRlCfg, marks: Mapping[str, Mark]) -> None:
    with tempfile.TemporaryDirectory(prefix="gaitway-rsl-rl-") as scratch:
        runner = _make_runner(config, session.job, session.env, scratch)
        if session.saved:
            load_rsl_rl(runner, session.saved, everything=session.resumed)
        runner.current_learning_iteration = session.first
        attach(
            runner,
            session.watch,
            steps=lambda: session.env.env_steps,
            infos=lambda iteration: {MARKER_KEY: {**_own_marks(config, session.env, iteration), **marks}},
        )
        with session.watch.ends_with_its_numbers(runner.alg.save):
            runner.learn(session.total - session.first, init_at_random_ep_len=config.init_at_random_ep_len)


def _make_runner(config: RslRlCfg, job: TrainJob, env: Env, scratch: str) -> OnPolicyRunner:
    """Build rsl_rl's runner around the environment; what it logs itself goes to a folder that nobody reads."""
    settings: dict[str, Any] = dataclasses.asdict(config)
    mirrored = config.mirror and len(env.mirrors) > 0
    mixed = config.algorithm.use_mixed_precision and multiplies_bfloat16()
    settings["algorithm"] |= {
        "use_mixed_precision": mixed,
        "rnd_cfg": None,
        "symmetry_cfg": {"use_data_augmentation": True, "data_augmentation_func": MirroredCopies(env.mirrors)}
        if mirrored
        else None,
    }
    settings |= {
        "save_interval": job.save_interval,
        "obs_groups": _groups(env),
        "logger": {"class_name": _NoWriter},
        # The environment's tensors are checked where they are made, infinities included.
        "check_for_nan": False,
    }
    wrapped = RslRlEnv(env, job.seed)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            runner = of_group(OnPolicyRunner)(wrapped, settings, log_dir=scratch, device="cpu")
    except (ValueError, TypeError) as error:
        raise UsageError(f"rsl_rl refuses this configuration: {error}", source="params/agent.yaml, --set") from error
    runner.logger.git_status_repos.clear()
    _report_task_rewards(runner.logger)
    if mirrored:
        _skip_mirror_loss(runner.alg)
    if mixed:
        mix_precision(runner.alg)
    _start_without(runner.alg, env, config.late_inputs)
    return runner


def _start_without(algorithm: Any, env: Env, names: tuple[str, ...]) -> None:
    """Let the networks begin without some of the policy's inputs, which come first in the critic's too.

    Raises:
        UsageError: The policy has no observation term of that name.
    """
    for name in names:
        term = env.contract.observation(name)
        if term is None:
            raise UsageError(
                f"the policy has no observation '{name}'",
                source="--set agent.late_inputs",
                allowed=", ".join(known.name for known in env.contract.observations),
            )
        for model in (algorithm.actor, algorithm.critic):
            with torch.no_grad():
                model.mlp[0].weight[:, term.start : term.stop] = 0.0


class _NoWriter:
    """Stands where TensorBoard's writer would: metrics are taken on their way to it."""

    def __init__(self, log_dir: str) -> None:
        pass

    def add_scalar(self, tag: str, value: float, step: int) -> None:
        """Drop a scalar."""


def _skip_mirror_loss(algorithm: Any) -> None:
    """Leave out what rsl_rl works out for its log alone: one more pass of the actor over every mini-batch."""
    update = algorithm.update
    algorithm.symmetry.compute_loss = lambda *_: torch.zeros(())
    algorithm.update = lambda: {name: value for name, value in update().items() if name != "symmetry"}


def _report_task_rewards(logger: Any) -> None:
    """Let ``Train/mean_reward`` be Isaac Lab's reward, without the shaping that the learner maximises besides."""
    process_env_step = logger.process_env_step

    def process_task_rewards(rewards: torch.Tensor, dones: torch.Tensor, extras: dict[str, Any], *more: Any) -> None:
        process_env_step(extras["task_rewards"], dones, extras, *more)

    logger.process_env_step = process_task_rewards


def _own_marks(config: RslRlCfg, env: Env, iteration: int) -> dict[str, Mark]:
    actor = config.actor
    return marks_for(env, activation=actor.activation, obs_normalization=actor.obs_normalization, iteration=iteration)


def _groups(env: Env) -> dict[str, list[str]]:
    """Observation groups of each network."""
    return {"actor": ["policy"], "critic": ["critic" if "critic" in env.observation_sizes else "policy"]}
