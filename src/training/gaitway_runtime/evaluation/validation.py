"""Validation of a policy: its episodes, their metrics, the verdict, and why it may have failed."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..policies.sessions import checkpoint_session
from ..simulators import base as simulators
from .diagnosis import LikelyCause, diagnose, short_training
from .gate import Verdict, judge, successes
from .metrics import RolloutMetrics, finite, inference_time, summarize
from .remedies import try_remedies
from .rollout import Rollout, run_episodes
from .subject import Subject, apply_gains, read_subject

if TYPE_CHECKING:
    from ..simulators.base import Env
    from ..spec.job import Job

EPISODES_FILE = "metrics/episodes.json"
EPISODES_SCHEMA = 1

EPISODES = 100
NUM_ENVS = 64
"""What a gate asks for that is not a job of its own: ``train --gate``."""


@dataclass(frozen=True, kw_only=True)
class Validation:
    """What a validation came to."""

    verdict: Verdict
    metrics: RolloutMetrics
    rollout: Rollout
    successes: tuple[bool, ...] = ()
    """Whether each episode is a success."""
    findings: tuple[LikelyCause, ...] = ()
    """Likely causes; see :func:`explain`."""

    def document(self) -> dict[str, Any]:
        """Return ``metrics/validation.json``: the metrics, with the verdict beside them."""
        findings = [finding.document() for finding in self.findings]
        document: dict[str, object] = finite(
            {
                **self.metrics.document(),
                "passed": self.verdict.passed,
                "success_rate": self.verdict.success_rate,
                "verdict": self.verdict.document(),
                "likely_causes": findings,
            }
        )
        return document

    def episodes(self) -> dict[str, Any]:
        """Return ``metrics/episodes.json``: what each episode came to, for a comparison with another policy's."""
        played = self.rollout.episodes
        document: dict[str, object] = finite(
            {
                "schema": EPISODES_SCHEMA,
                "seed": self.rollout.seed,
                "reward": [episode.reward for episode in played],
                "steps": [episode.steps for episode in played],
                "ending": [episode.ending.value for episode in played],
                "success": list(self.successes),
            }
        )
        return document

    def tags(self) -> dict[str, str]:
        """Return what a registered model's version says of its validation."""
        numbers = {
            "success_rate": self.verdict.success_rate,
            "eval_episodes": self.verdict.episodes,
            "mean_reward": self.metrics.mean_reward,
            "survival_rate": self.metrics.survival_rate,
            **self.metrics.measurements,
        }
        return {
            "validated": str(self.verdict.passed).lower(),
            "verdict": "passed" if self.verdict.passed else "failed",
            **{f"validation.{name}": f"{value:.6g}" for name, value in numbers.items() if value is not None},
        }


def evaluate(
    env: Env,
    subject: Subject,
    *,
    episodes: int,
    seed: int,
    success_threshold: float | None = None,
    snapshots: int = 0,
    on_step: Callable[[int, int], None] | None = None,
) -> Validation:
    """Play the episodes of a policy and judge them by its task's gate.

    Args:
        env: Environment in its evaluation form.
        subject: The policy.
        episodes: Episodes that count.
        seed: Seed of the environment.
        success_threshold: Share of successes that passes; the task's own when None.
        snapshots: Steps whose state is kept for a video.
        on_step: Told ``(steps done, most steps it may take)``; may raise to stop.
    """
    session = checkpoint_session(subject.policy)
    actor = subject.actor(session)
    rollout = run_episodes(env, actor, episodes, seed=seed, snapshots=snapshots, on_step=on_step)
    timing = inference_time(rollout.act_seconds, batch=env.num_envs, provider=session.provider, threads=session.threads)
    metrics = summarize(rollout, format=session.format, simulator=env.contract.simulator, inference=timing)
    verdict = judge(env.task, rollout.episodes, metrics, success_threshold=success_threshold)
    succeeded = tuple(successes(env.task, rollout.episodes))
    return Validation(verdict=verdict, metrics=metrics, rollout=rollout, successes=succeeded)


def explain(
    validation: Validation, env: Env, subject: Subject, *, on_step: Callable[[int, int], None] | None = None
) -> Validation:
    """Look for the causes of a verdict that is no pass, by experiment first, then by symptoms.

    Args:
        validation: What was found.
        env: The environment it was found in.
        subject: The policy.
        on_step: Told ``(steps done, steps to do)`` of each experiment; may raise to stop.
    """
    if validation.verdict.passed:
        return validation
    tried = try_remedies(env, subject, seed=validation.rollout.seed, on_step=on_step)
    found = (*tried, *short_training(env.task, subject), *diagnose(validation.rollout, subject))
    return replace(validation, findings=found)


def validate_checkpoint(
    job: Job,
    checkpoint: Path,
    *,
    episodes: int = EPISODES,
    num_envs: int = NUM_ENVS,
    on_step: Callable[[int, int], None] | None = None,
) -> Validation:
    """Validate a checkpoint file of a job's task, as a gate before its registration.

    Args:
        job: The job that made it; its task, simulator, seed, activation and contract are read.
        checkpoint: The file.
        episodes: Episodes that count.
        num_envs: Most worlds to play them in.
        on_step: Told ``(steps done, most steps it may take)``; may raise to stop.

    Raises:
        UsageError: The checkpoint cannot be read or is of another task's shape.
    """
    module = simulators.load(job.simulator)
    worlds = min(num_envs, episodes)
    with contextlib.closing(module.open_env(job, num_envs=worlds, training=False, seed=job.seed)) as env:
        subject = read_subject(checkpoint, env.contract, activation=job.activation, contract=job.contract)
        subject = apply_gains(subject, env)
        validation = evaluate(env, subject, episodes=episodes, seed=job.seed, on_step=on_step)
        return explain(validation, env, subject, on_step=on_step)
