"""Outcome of a sweep: leaderboard, importances of the varied keys, and the command that trains the winner in full."""

from __future__ import annotations

import math
import shlex
import statistics
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gaitway_runtime.spec.types import Json, JsonObject

from ..planning import command
from ..variations import MAXIMIZE, Assignment, SweepDesign, Variation
from .asked import varied_settings

COMPLETED, PRUNED, FAILED, RUNNING = "completed", "pruned", "failed", "running"
SHORTENED = ("max_iterations", "save_interval")
"""Settings that make trials shorter than a training; the winner's command leaves them out."""


@dataclass(frozen=True, kw_only=True)
class SweepTrial:
    """A trial, as far as it has got."""

    number: int
    """From 0, as Optuna counts; people count from 1."""
    status: str
    values: Assignment
    by_seed: tuple[float, ...] = ()
    """The objective of each of its runs that has ended."""
    runs: tuple[str, ...] = ()
    reason: str = ""
    """Why it failed, or where it was pruned."""

    @property
    def value(self) -> float | None:
        """The mean of the objective over the seeds; None where no run has ended."""
        return statistics.fmean(self.by_seed) if self.by_seed else None

    @property
    def spread(self) -> float | None:
        """The standard deviation over the seeds, of two or more."""
        return statistics.stdev(self.by_seed) if len(self.by_seed) > 1 else None

    def document(self) -> dict[str, Json]:
        """Return the trial as ``--json`` prints it."""
        return {
            "trial": self.number + 1,
            "status": self.status,
            "values": dict(self.values),
            "value": self.value,
            "spread": self.spread,
            "by_seed": list(self.by_seed),
            "runs": list(self.runs),
            "reason": self.reason,
        }


def leaderboard(design: SweepDesign, trials: Sequence[SweepTrial]) -> list[SweepTrial]:
    """Return the trials, the best first; those without a value last."""
    sign = -1.0 if design.direction == MAXIMIZE else 1.0

    def place(trial: SweepTrial) -> tuple[bool, float, int]:
        ranked = trial.status == COMPLETED and trial.value is not None
        return not ranked, sign * (trial.value or 0.0) if ranked else 0.0, trial.number

    return sorted(trials, key=place)


def winner(design: SweepDesign, trials: Sequence[SweepTrial]) -> SweepTrial | None:
    """Return the best trial that was completed."""
    best = next(iter(leaderboard(design, trials)), None)
    return best if best and best.status == COMPLETED and best.value is not None else None


def importances(design: SweepDesign, trials: Sequence[SweepTrial]) -> dict[str, float] | None:
    """Return how much of the objective's variation each key accounts for, as Optuna estimates it.

    Returns:
        Shares that add up to one, the largest first; None where one key alone is varied, or too few trials ended.
    """
    known = [trial for trial in trials if trial.status == COMPLETED and trial.value is not None]
    if len(design.variations) < 2 or len(known) < 3 or len({trial.value for trial in known}) < 2:
        return None
    try:
        import optuna
    except ImportError:
        return None
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(direction=design.direction)
    spaces = {found.key: _distribution(found, optuna) for found in design.variations}
    for trial in known:
        params = {found.key: _parameter(found, trial.values[found.key]) for found in design.variations}
        study.add_trial(optuna.trial.create_trial(params=params, distributions=spaces, value=trial.value))
    found: Mapping[str, float] = optuna.importance.get_param_importances(study)
    return {key: share for key, share in found.items() if math.isfinite(share)} or None


def winner_command(settings: JsonObject, values: Assignment) -> str:
    """Return the command that trains with a trial's values, for as long as the task usually takes.

    Args:
        settings: The ``settings.json`` document of the sweep's training.
        values: The trial's values.
    """
    without = {*SHORTENED, "run_name", *values} - (values.keys() & set(SHORTENED))
    words = command("train", settings, {*without, *values})
    return shlex.join([*words, *_words(values)])


def document(
    name: str, platform: str, design: SweepDesign, trials: Sequence[SweepTrial], settings: JsonObject
) -> dict[str, Json]:
    """Return the outcome as ``--json`` prints it."""
    best = winner(design, trials)
    done = sum(trial.status != RUNNING for trial in trials)
    return {
        "sweep": name,
        "platform": platform,
        "status": "running" if done < design.trials else "succeeded" if best else "failed",
        **design.document(),
        "done": done,
        "leaderboard": [trial.document() for trial in leaderboard(design, trials)],
        "winner": best.document() if best else None,
        "importances": importances(design, trials),
        "next": winner_command(settings, best.values) if best else None,
    }


def short_keys(keys: Collection[str]) -> dict[str, str]:
    """Return the shortest endings of dotted keys that tell them apart."""
    return {key: next(end for end in _endings(key) if sum(_ends(other, end) for other in keys) == 1) for key in keys}


def _endings(key: str) -> Iterator[str]:
    parts = key.split(".")
    yield from (".".join(parts[-count:]) for count in range(1, len(parts) + 1))


def _ends(key: str, end: str) -> bool:
    return key == end or key.endswith(f".{end}")


def _words(values: Assignment) -> Iterator[str]:
    known = varied_settings()
    for key, value in values.items():
        if key not in known:
            yield from ("--set", f"{key}={value}")
            continue
        flag = known[key].info.flags[0]
        if isinstance(known[key].default, bool):
            yield flag if known[key].parse(value, flag) else f"--no-{flag.removeprefix('--')}"
        else:
            yield from (flag, value)


def _distribution(variation: Variation, optuna: Any) -> Any:
    spaces = optuna.distributions
    if variation.kind == "choice":
        return spaces.CategoricalDistribution(list(variation.choices))
    if variation.kind == "int":
        return spaces.IntDistribution(round(variation.low), round(variation.high))
    return spaces.FloatDistribution(variation.low, variation.high, log=variation.kind == "log")


def _parameter(variation: Variation, text: str) -> str | int | float:
    if variation.kind == "choice":
        return text
    if variation.kind == "int":
        return int(text)
    # A text has six digits, with which an end of the range may lie beside it.
    return min(max(float(text), variation.low), variation.high)
