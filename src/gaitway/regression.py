"""Regression of a policy: whether its episodes are significantly worse than another's, by a bootstrap interval."""

from __future__ import annotations

import random
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from gaitway_runtime.spec import result as results

from .errors import UsageError
from .ledger import Ledger, RunRecord, read_document

EPISODES_FILE = "metrics/episodes.json"
"""What a validation keeps of each episode, below a run's outputs."""

RESAMPLES = 4000
CONFIDENCE = 0.95
SEED = 0
"""Seed of the resampling: the same episodes always have the same interval."""


@dataclass(frozen=True)
class PlayedEpisodes:
    """The episodes that a policy was judged by."""

    name: str
    reward: tuple[float, ...]
    success: tuple[float, ...]
    """1 for a success, else 0."""


@dataclass(frozen=True)
class Shift:
    """How much a mean over episodes differs from the baseline's, with its interval."""

    metric: str
    baseline: float
    value: float
    low: float
    high: float
    episodes: tuple[int, int]

    @property
    def difference(self) -> float:
        """How much more there is than in the baseline."""
        return self.value - self.baseline

    @property
    def is_worse(self) -> bool:
        """Whether the whole interval lies below zero."""
        return self.high < 0

    def sentence(self, name: str, baseline: str) -> str:
        """Return the outcome in words."""
        verdict = "significantly worse" if self.is_worse else "not significantly worse"
        return (
            f"{name} is {verdict} than {baseline} in {self.metric}: {self.value:.4g} against {self.baseline:.4g}, "
            f"a difference of {self.difference:+.3g} ({CONFIDENCE:.0%} interval {self.low:+.3g} to {self.high:+.3g}, "
            f"{self.episodes[1]} and {self.episodes[0]} episodes)"
        )

    def document(self) -> dict[str, object]:
        """Return the shift as ``--json`` prints it."""
        return {**asdict(self), "difference": self.difference, "worse": self.is_worse}


def shifts(baseline: PlayedEpisodes, other: PlayedEpisodes) -> tuple[Shift, ...]:
    """Return how reward and success differ from the baseline's."""
    parts = (("reward", baseline.reward, other.reward), ("success rate", baseline.success, other.success))
    return tuple(_shift(name, a, b) for name, a, b in parts if a and b)


def _shift(metric: str, a: Sequence[float], b: Sequence[float]) -> Shift:
    dice = random.Random(SEED)
    drawn = sorted(
        statistics.fmean(dice.choices(b, k=len(b))) - statistics.fmean(dice.choices(a, k=len(a)))
        for _ in range(RESAMPLES)
    )
    tail = round((1 - CONFIDENCE) / 2 * RESAMPLES)
    return Shift(metric, statistics.fmean(a), statistics.fmean(b), drawn[tail], drawn[-tail - 1], (len(a), len(b)))


def find_episodes(name: str, ledger: Ledger) -> PlayedEpisodes:
    """Return the episodes that a run of this folder was judged by: its own, or those of its newest validation here.

    Raises:
        UsageError: There is no such run, or nothing has judged it.
    """
    record = ledger.read(name)
    found = _episodes_in(ledger.run_dir(name))
    if found is None:
        judge = next(iter(_validations(record, ledger)), None)
        found = _episodes_in(ledger.run_dir(judge.name)) if judge else None
    if found is None:
        raise UsageError(
            f"nothing is known of single episodes of run '{name}'",
            source=str(ledger.run_dir(name) / "outputs" / EPISODES_FILE),
            hint=f"gaitway validate --task {record.task} --checkpoint-uri {name}@latest",
        )
    reward, success = found
    return PlayedEpisodes(name, reward, success)


def _validations(record: RunRecord, ledger: Ledger) -> list[RunRecord]:
    """Return the validations of a training's final checkpoint in this folder, the newest first."""
    trained = results.read(ledger.run_dir(record.name) / "outputs")
    if trained is None or trained.final_checkpoint is None:
        return []
    records, _ = ledger.all()
    judged = [
        (other, results.read(ledger.run_dir(other.name) / "outputs")) for other in records if other.kind == "validate"
    ]
    sha256 = trained.final_checkpoint.sha256
    return [
        other
        for other, result in reversed(judged)
        if result and result.evaluated_checkpoint and result.evaluated_checkpoint.sha256 == sha256
    ]


def _episodes_in(run_dir: Path) -> tuple[tuple[float, ...], tuple[float, ...]] | None:
    """Return the rewards and successes in a run's folder; None where there are none."""
    path = run_dir / "outputs" / EPISODES_FILE
    document = read_document(path.parent, path.name) or {}
    reward, success = (document.get(key) for key in ("reward", "success"))
    if not isinstance(reward, list) or not isinstance(success, list) or not reward:
        return None
    # An episode that diverged has no reward.
    return tuple(float(value) for value in reward if value is not None), tuple(float(value) for value in success)
