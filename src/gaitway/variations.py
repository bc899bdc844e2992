"""Variations of a training: the keys that a sweep varies, their values, and the trials that they make. Pure."""

from __future__ import annotations

import itertools
import math
import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gaitway_runtime.spec.dotted_keys import SECTIONS
from gaitway_runtime.spec.types import Json, JsonObject

from .errors import UsageError

FORMS = "KEY=A,B,C  KEY=uniform(LOW,HIGH)  KEY=log(LOW,HIGH)  KEY=int(LOW,HIGH)"
MAXIMIZE, MINIMIZE = "maximize", "minimize"
OBJECTIVE = "Train/mean_reward"
"""Metric that trials are ranked by unless another is named."""

TRACKED = {name: f"Train/{name}" for name in ("mean_reward", "mean_episode_length")}
"""Names under which a training tracks what its result calls by shorter ones."""

TRIALS = 20
"""Trials where a range is varied and no number is named."""

MOST_TRIALS = 10_000

SWEEP = "sweep"
"""Kind of a run that is a sweep on its platform."""

DESIGN_FILE = "sweep.json"
"""File with the design of a sweep, in its folder or its run's."""

Assignment = Mapping[str, str]
"""Values of the varied keys in one trial, as texts."""

_RANGE = re.compile(r"(uniform|log|int)\(([^(),]+),([^(),]+)\)")


@dataclass(frozen=True)
class Variation:
    """One key and the values that it takes: some that are listed, or a range."""

    key: str
    choices: tuple[str, ...] = ()
    kind: str = "choice"
    """``choice``, or the kind of range: ``uniform``, ``log``, ``int``."""
    low: float = 0.0
    high: float = 0.0

    @property
    def text(self) -> str:
        """The variation as it is typed."""
        if self.kind == "choice":
            return f"{self.key}={','.join(self.choices)}"
        return f"{self.key}={self.kind}({self.low:.12g},{self.high:.12g})"

    @property
    def is_override(self) -> bool:
        """Whether the key is one of ``--set``; any other is a setting."""
        return self.key.partition(".")[0] in SECTIONS

    def corners(self) -> tuple[str, ...]:
        """Return the values that are checked before anything starts: all that are listed, or the ends of the range."""
        return self.choices or (self.as_text(self.low), self.as_text(self.high))

    def as_text(self, value: float) -> str:
        """Return a number of the range as a trial gets it."""
        return str(round(value)) if self.kind == "int" else f"{value:.6g}"

    def drawn(self, dice: random.Random) -> str:
        """Return a value drawn at random."""
        match self.kind:
            case "choice":
                return dice.choice(self.choices)
            case "log":
                return self.as_text(math.exp(dice.uniform(math.log(self.low), math.log(self.high))))
            case "int":
                return str(dice.randint(round(self.low), round(self.high)))
        return self.as_text(dice.uniform(self.low, self.high))


@dataclass(frozen=True, kw_only=True)
class SweepDesign:
    """What a sweep tries, and how its trials are ranked."""

    variations: tuple[Variation, ...]
    seeds: tuple[int, ...]
    """Seeds that each trial trains with, one run each."""
    trials: int
    objective: str = OBJECTIVE
    direction: str = MAXIMIZE
    prune: bool = False
    """Whether a trial that does worse than the median is ended early."""
    parallel: int | None = None
    """Trials at a time; None: one on this machine, elsewhere as many as the platform runs."""

    @property
    def is_grid(self) -> bool:
        """Whether all values are listed, so that trials are combinations of them."""
        return all(variation.choices for variation in self.variations)

    def assignments(self) -> list[Assignment]:
        """Return the values of each trial, drawn by the first seed: combinations without repetition, or a sample.

        Those of a larger number of trials begin with those of a smaller one.
        """
        dice = random.Random(self.seeds[0])
        keys = [variation.key for variation in self.variations]
        if self.is_grid:
            every = list(itertools.product(*(variation.choices for variation in self.variations)))
            dice.shuffle(every)  # so that a larger number of trials begins with those of a smaller one
            return [dict(zip(keys, values, strict=True)) for values in every[: self.trials]]
        return [{found.key: found.drawn(dice) for found in self.variations} for _ in range(self.trials)]

    def words(self) -> list[str]:
        """Return the flags that describe the design."""
        found = [word for variation in self.variations for word in ("--vary", variation.text)]
        found += ["--trials", str(self.trials), "--seeds", str(len(self.seeds)), "--objective", self.objective]
        return [*found, "--direction", self.direction, *(["--prune"] if self.prune else [])]

    def document(self) -> dict[str, Json]:
        """Return the design as ``sweep.json`` holds it."""
        return {
            "vary": [variation.text for variation in self.variations],
            "seeds": list(self.seeds),
            "trials": self.trials,
            "objective": self.objective,
            "direction": self.direction,
            "prune": self.prune,
            "parallel": self.parallel,
        }

    @classmethod
    def from_document(cls, document: JsonObject) -> SweepDesign:
        """Return the design that ``sweep.json`` holds.

        Raises:
            UsageError: It is not one.
        """
        vary, seeds = document.get("vary"), document.get("seeds")
        trials, parallel = document.get("trials"), document.get("parallel")
        if not (isinstance(vary, list) and isinstance(seeds, list) and seeds and isinstance(trials, int)):
            raise UsageError("the record of the sweep is damaged", source=DESIGN_FILE)
        return cls(
            variations=parse_variations([str(text) for text in vary]),
            seeds=tuple(int(str(seed)) for seed in seeds),
            trials=trials,
            objective=str(document.get("objective") or OBJECTIVE),
            direction=str(document.get("direction") or MAXIMIZE),
            prune=document.get("prune") is True,
            parallel=parallel if isinstance(parallel, int) else None,
        )


def make_design(
    vary: Sequence[str],
    *,
    first_seed: int,
    seeds: int,
    trials: int | None,
    objective: str = OBJECTIVE,
    direction: str = MAXIMIZE,
    prune: bool = False,
    parallel: int | None = None,
) -> SweepDesign:
    """Return the design of what was asked.

    Raises:
        UsageError: Nothing is varied, or something in a form that there is not.
    """
    if not vary:
        raise UsageError("nothing is varied", source="--vary", allowed=FORMS)
    variations = parse_variations(vary)
    combinations = math.prod(len(variation.choices) for variation in variations)
    wanted = trials or combinations or TRIALS
    count = min(wanted, combinations) if combinations else wanted
    if count > MOST_TRIALS:
        raise UsageError(f"{count:,} trials are too many", source="--vary", allowed=f"at most {MOST_TRIALS:,}")
    return SweepDesign(
        variations=variations,
        seeds=tuple(range(first_seed, first_seed + seeds)),
        trials=count,
        objective=TRACKED.get(objective, objective),
        direction=direction,
        prune=prune,
        parallel=parallel,
    )


def parse_variations(texts: Sequence[str]) -> tuple[Variation, ...]:
    """Return the variations that ``--vary`` names.

    Raises:
        UsageError: One has no such form, or a key is named twice.
    """
    found = [_parsed(text) for text in texts]
    for number, variation in enumerate(found):
        if variation.key in [other.key for other in found[:number]]:
            raise UsageError(f"'{variation.key}' is varied twice", source=f"--vary {texts[number]}")
    return tuple(found)


def _parsed(text: str) -> Variation:
    key, equals, values = (part.strip() for part in text.partition("="))
    if not (key and equals and values):
        raise UsageError(f"'{text}' does not say which key takes which values", source="--vary", allowed=FORMS)
    if "." not in key:
        key = key.lstrip("-").replace("-", "_")
    if key == "seed":
        raise UsageError("seeds are not varied as a key", source=f"--vary {text}", hint="--seeds N")
    named = _RANGE.fullmatch(values.replace(" ", ""))
    if named:
        return _range(key, named[1], named[2], named[3], text)
    choices = tuple(_choices(values))
    if "(" in values and not values.startswith(("(", "[")):
        raise UsageError(f"'{values}' is no range", source=f"--vary {text}", allowed=FORMS)
    if not all(choices) or len(set(choices)) < len(choices):
        raise UsageError("a value is empty or named twice", source=f"--vary {text}", allowed=FORMS)
    return Variation(key, choices)


def _choices(values: str) -> list[str]:
    """Return listed values; a comma within brackets belongs to a value: ``(0,1),(0,2)``."""
    parts, depth = [""], 0
    for letter in values:
        depth += (letter in "([") - (letter in ")]")
        if letter == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += letter
    return [part.strip() for part in parts]


def _range(key: str, kind: str, low: str, high: str, text: str) -> Variation:
    try:
        ends = float(low), float(high)
    except ValueError:
        raise UsageError(f"'{low},{high}' is no range", source=f"--vary {text}", allowed="two numbers") from None
    whole = kind != "int" or all(end.is_integer() for end in ends)
    if not (all(map(math.isfinite, ends)) and ends[0] < ends[1] and whole and (kind != "log" or ends[0] > 0)):
        allowed = {"log": "0 < LOW < HIGH", "int": "whole numbers, LOW < HIGH"}.get(kind, "LOW < HIGH")
        raise UsageError(f"{kind}({low},{high}) is no range", source=f"--vary {text}", allowed=allowed)
    return Variation(key, (), kind, *ends)
