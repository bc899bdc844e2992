"""Metrics of a rollout, as one documented JSON document."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..spec.result import versions
from .rollout import Ending, Rollout

METRICS_SCHEMA = 1

WARM_UP_CALLS = 10
"""First calls of a policy that are left out of its inference time: allocation, thread start, code generation."""

EARLIER_NAMES = {
    "mean_episode_reward": "mean_reward",
    "std_episode_reward": "std_reward",
    "min_episode_reward": "min_reward",
    "max_episode_reward": "max_reward",
}
"""Keys that earlier tools wrote, and the key of ours that each repeats."""

_SIGNED = ("command_", "vel_")
"""Measurements that go both ways: they are drawn over time, their mean says nothing."""


@dataclass(frozen=True, kw_only=True)
class InferenceTime:
    """Wall time of one call of the policy [ms], warm-up left out."""

    mean_ms: float
    std_ms: float
    min_ms: float
    max_ms: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    calls: int
    """Calls measured."""
    warm_up_calls: int
    """Calls made before those."""
    batch: int
    """Observations per call."""
    provider: str
    """What ran it, for example ``onnxruntime CPUExecutionProvider``."""
    threads: int
    """Threads one call may use."""


@dataclass(frozen=True, kw_only=True)
class RolloutMetrics:
    """Everything measured while a policy was played. None stands for "could not be measured"; see the reasons.

    ``measurements`` and the keys of :data:`EARLIER_NAMES` stand beside the others in the document.
    """

    schema: int = METRICS_SCHEMA
    task: str
    format: str
    """What was played: ``onnx``, ``jit`` or ``checkpoint``."""
    simulator: str
    seed: int
    num_envs: int
    total_steps: int
    """Control steps of each environment."""
    env_steps: int
    """Control steps of all environments together."""
    control_dt: float
    """Time between two actions [s]."""
    simulated_seconds: float
    """Simulated time of each environment [s]."""
    total_episodes: int
    """Episodes that ended and count."""
    unfinished_episodes: int
    """Episodes still going when the rollout stopped."""
    timed_out_episodes: int
    terminated_episodes: int
    """Episodes that ended in a fall or another failure of the task."""
    diverged_episodes: int
    """Episodes lost to a simulation that was no longer finite; in no other count or mean."""
    survival_rate: float | None
    """Share of the episodes, ended or still going, that did not end in a failure."""
    mean_reward: float | None
    """Task's own reward summed over an ended episode: mean, then spread over the episodes."""
    std_reward: float | None
    min_reward: float | None
    max_reward: float | None
    reward_reason: str | None
    """Why there is no reward per episode."""
    mean_episode_length: float | None
    """Control steps of an ended episode."""
    reward_per_second: float | None
    """Task's own reward per simulated second, over ended and unfinished episodes alike."""
    reward_terms: Mapping[str, float]
    """Each reward term's share of it [1/s], weight included."""
    measurements: Mapping[str, float]
    """Mean over all steps of what the task measures, for example ``error_vel_xy`` [m/s]."""
    inference: InferenceTime | None
    throughput_steps_per_sec: float
    """Environment steps per second of wall time, policy and simulation together."""
    parity: Mapping[str, Any] | None = None
    """Largest differences of the exported file from the checkpoint, on observations of this rollout."""
    versions: Mapping[str, str] = field(default_factory=dict)

    def value(self, name: str) -> float | None:
        """Return a number by its key in the document, or None where it was not measured."""
        found = self.document().get(name)
        return float(found) if isinstance(found, (int, float)) and not isinstance(found, bool) else None

    def document(self) -> dict[str, Any]:
        """Return the JSON document: no NaN, no infinity."""
        values = dataclasses.asdict(self)
        timing = values["inference"] or {}
        flat = {
            key.replace("_ms", "_inference_time_ms"): number for key, number in timing.items() if key.endswith("_ms")
        }
        earlier = {old: values[new] for old, new in EARLIER_NAMES.items()}
        measured = {key: number for key, number in values.pop("measurements").items() if key not in values}
        document: dict[str, object] = finite({**values, **measured, **flat, **earlier})
        return document


def summarize(
    rollout: Rollout,
    *,
    format: str,
    simulator: str,
    inference: InferenceTime | None = None,
    parity: Mapping[str, object] | None = None,
) -> RolloutMetrics:
    """Turn a rollout into metrics."""
    ended = [episode for episode in rollout.episodes if episode.ending is not Ending.DIVERGED]
    lost = len(rollout.episodes) - len(ended)
    failed = sum(episode.ending is Ending.TERMINATED for episode in ended)
    started = len(ended) + len(rollout.unfinished)
    rewards = np.array([episode.reward for episode in ended])
    env_steps = rollout.steps * rollout.num_envs
    return RolloutMetrics(
        task=rollout.task,
        format=format,
        simulator=simulator,
        seed=rollout.seed,
        num_envs=rollout.num_envs,
        total_steps=rollout.steps,
        env_steps=env_steps,
        control_dt=rollout.step_dt,
        simulated_seconds=round(rollout.steps * rollout.step_dt, 9),
        total_episodes=len(ended),
        unfinished_episodes=len(rollout.unfinished),
        timed_out_episodes=len(ended) - failed,
        terminated_episodes=failed,
        diverged_episodes=lost,
        survival_rate=1 - failed / started if started else None,
        mean_reward=float(rewards.mean()) if ended else None,
        std_reward=float(rewards.std()) if ended else None,
        min_reward=float(rewards.min()) if ended else None,
        max_reward=float(rewards.max()) if ended else None,
        reward_reason=None if ended else _no_reward(rollout, lost),
        mean_episode_length=float(np.mean([episode.steps for episode in ended])) if ended else None,
        reward_per_second=rollout.reward_per_second,
        reward_terms=rollout.reward_terms,
        measurements={metric_name(name): rollout.means[name] for name in rollout.means if not name.startswith(_SIGNED)},
        inference=inference,
        throughput_steps_per_sec=env_steps / rollout.seconds if rollout.seconds else 0.0,
        parity=parity,
        versions=versions(),
    )


def metric_name(measurement: str) -> str:
    """Return a measurement's key in the metrics: errors keep their name, the rest says that it is a mean."""
    return measurement if measurement.startswith("error_") else f"mean_{measurement}"


def inference_time(
    seconds: Sequence[float] | NDArray[np.float64], *, batch: int, provider: str, threads: int
) -> InferenceTime | None:
    """Describe the wall times of a policy's calls [s], or return None when there were too few to leave a warm-up out.

    Args:
        seconds: Wall time of every call, in order.
        batch: Observations per call.
        provider: What ran the policy.
        threads: Threads one call may use.
    """
    warm_up = min(WARM_UP_CALLS, len(seconds) // 2)
    measured = 1e3 * np.asarray(seconds[warm_up:])
    if not len(measured):
        return None
    p50, p95, p99 = np.percentile(measured, (50, 95, 99))
    return InferenceTime(
        mean_ms=float(measured.mean()),
        std_ms=float(measured.std()),
        min_ms=float(measured.min()),
        max_ms=float(measured.max()),
        p50_ms=float(p50),
        p95_ms=float(p95),
        p99_ms=float(p99),
        calls=len(measured),
        warm_up_calls=warm_up,
        batch=batch,
        provider=provider,
        threads=threads,
    )


def finite(value: Any) -> Any:
    """Return a JSON value in which every number that is not finite has become None."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(item) for item in value]
    return value


def _no_reward(rollout: Rollout, lost: int) -> str:
    if lost:
        return f"all {lost} episodes were lost to a simulation that was no longer finite"
    longest = max((episode.steps for episode in rollout.unfinished), default=0)
    return (
        f"no episode ended in {rollout.steps} steps: an episode of this task lasts {rollout.max_episode_length}, "
        f"the longest was at {longest}"
    )
