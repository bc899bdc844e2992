"""Parity of exported files with the checkpoint: the same actions for the same observations.

Each export is compared with the checkpoint's own network on the same observations, at several batch sizes, and over
many steps with episode ends between them where the policy is recurrent.

Rule: an export agrees when its largest error is at most :data:`TOLERANCE`, absolute or relative to the largest
action of the reference, whichever is the kinder. For actions of order 1 that is an absolute 1e-5; a policy whose raw
actions are of order 100 is held to the same number of float32 digits.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ..spec.errors import JobFailed
from .network import Policy
from .sessions import checkpoint_session

TOLERANCE = 1e-5
BATCH_SIZES = (1, 4, 64)

_STEPS = 64
"""Steps of a recurrent comparison; in the middle every other world starts a new episode."""


class Answering(Protocol):
    """An export that is compared: a session in this process, or a policy that runs confined."""

    @property
    def recurrent(self) -> bool:
        """Whether a hidden state is carried from call to call."""
        ...

    def act(self, observations: NDArray[np.float32], /) -> NDArray[np.float32]:
        """Return the actions, (N, actions), for observations, (N, observations), and advance the hidden state."""
        ...

    def reset(self, mask: NDArray[np.bool_] | None = None) -> None:
        """Start new episodes in the masked worlds, or in all."""
        ...


@dataclass(frozen=True)
class Agreement:
    """How one export compares with the checkpoint at one batch size."""

    format: str
    batch_size: int
    comparisons: int
    """Observations compared."""
    max_abs_error: float
    max_rel_error: float
    """``max_abs_error`` over the largest absolute action of the reference."""

    @property
    def agrees(self) -> bool:
        """Whether the error is within the tolerance; one that is not a number is not."""
        return self.max_abs_error <= TOLERANCE or self.max_rel_error <= TOLERANCE


@dataclass(frozen=True)
class ParityReport:
    """The outcome of a comparison."""

    observations: str
    """Where the observations came from: ``recorded`` in a rollout, or ``drawn`` from statistics."""
    results: tuple[Agreement, ...]
    tolerance: float = TOLERANCE

    @property
    def passed(self) -> bool:
        """Whether every export agrees at every batch size."""
        return bool(self.results) and all(result.agrees for result in self.results)

    def as_dict(self) -> dict[str, Any]:
        """Return the report as it stands in the metrics files; an error that is not a number is null."""
        return {
            "passed": self.passed,
            "tolerance": self.tolerance,
            "observations": self.observations,
            "max_abs_error": _finite(max((result.max_abs_error for result in self.results), default=np.nan)),
            "max_rel_error": _finite(max((result.max_rel_error for result in self.results), default=np.nan)),
            "results": [
                {
                    **dataclasses.asdict(result),
                    "max_abs_error": _finite(result.max_abs_error),
                    "max_rel_error": _finite(result.max_rel_error),
                    "agrees": result.agrees,
                }
                for result in self.results
            ],
        }

    def require(self) -> None:
        """Pass on agreement.

        Raises:
            JobFailed: An export disagrees; the error names the worst.
        """
        failed = [result for result in self.results if not result.agrees]
        if failed or not self.results:
            worst = failed[0] if failed else None
            raise JobFailed(
                f"the exported {worst.format} policy does not compute what the checkpoint does: "
                f"actions differ by {worst.max_abs_error:.3g} at batch size {worst.batch_size}"
                if worst
                else "no export was compared with the checkpoint",
                source=f"{self.observations} observations",
                allowed=f"a difference of {self.tolerance:g}, absolute or relative to the largest action",
            )


def measure(
    policy: Policy,
    sessions: Mapping[str, Answering],
    observations: NDArray[np.float32],
    *,
    source: str = "recorded",
) -> ParityReport:
    """Compare exports with the checkpoint.

    Args:
        policy: The checkpoint's policy.
        sessions: Exports by format; each is reset before and after.
        observations: (samples, observations), or (steps, worlds, observations) of a rollout, which keeps the order
            in time for recurrent policies.
        source: ``recorded`` or ``drawn``, for the report.
    """
    results = []
    reference = checkpoint_session(policy)
    for batch in BATCH_SIZES:
        sequence = _sequence(observations, batch, recurrent=policy.recurrent)
        expected = _play(reference, sequence)
        largest = float(np.abs(expected).max())
        for name, session in sessions.items():
            error = np.abs(_play(session, sequence).astype(np.float64) - expected)
            worst = float(error.max()) if np.isfinite(error).all() else float("inf")
            count = sequence.shape[0] * sequence.shape[1]
            results.append(Agreement(name, batch, count, worst, worst / max(largest, 1e-12)))
    return ParityReport(source, tuple(results))


def observations_from_statistics(policy: Policy, count: int = 1024, seed: int = 0) -> NDArray[np.float32]:
    """Draw observations as the normaliser remembers them, (count, observations), for want of recorded ones.

    A policy without a normaliser was trained on observations of order 1; a standard normal stands in for them.
    """
    draws = np.random.default_rng(seed).standard_normal((count, policy.observation_size))
    if policy.normalizer is not None:
        draws = draws * policy.normalizer.std.double().numpy() + policy.normalizer.mean.double().numpy()
    return draws.astype(np.float32)


def _sequence(observations: NDArray[np.float32], batch: int, *, recurrent: bool) -> NDArray[np.float32]:
    """Lay observations out as (steps, batch, observations).

    Without a hidden state every sample is used once, the last call filled up from the start. With one, each column
    follows one world through time.
    """
    size = observations.shape[-1]
    if recurrent and observations.ndim == 3:
        steps, worlds, _ = observations.shape
        return observations[: min(steps, _STEPS), np.arange(batch) % worlds]
    flat = observations.reshape(-1, size)
    steps = min(-(-len(flat) // batch), _STEPS if recurrent else len(flat))
    return np.take(flat, np.arange(steps * batch), axis=0, mode="wrap").reshape(steps, batch, size)


def _play(session: Answering, sequence: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the actions along a sequence, (steps, batch, actions); halfway, every other world is reset."""
    batch = sequence.shape[1]
    session.reset()
    actions = []
    for step, observations in enumerate(sequence):
        if session.recurrent and step == len(sequence) // 2:
            session.reset(np.arange(batch) % 2 == 0)
        actions.append(session.act(observations).astype(np.float64))
    session.reset()
    return np.stack(actions)


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None
