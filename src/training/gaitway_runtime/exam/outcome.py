"""Outcome of an exam: all that was found and measured, its verdict in words, and the JSON document."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

from ..evaluation.gate import Verdict
from ..evaluation.metrics import RolloutMetrics, finite
from ..evaluation.rollout import Rollout
from ..evaluation.sweep import Point
from ..evaluation.video import Video
from ..policies.confined.policy_file import PolicyFile
from ..spec.contract import CONTRACT_FILE, PolicyContract
from ..spec.result import GateVerdict
from ..tasks.environment import EnvCfg
from .conventions import Conventions
from .hazards import Hazard
from .playing import Demands
from .search import Search

CARD_FILE = "exam.html"
_WEIGHTS = (60.0, 25.0, 15.0)
"""Points for episodes that succeed, conditions that it stands, and gentleness."""


@dataclass(frozen=True, kw_only=True)
class Exam:
    """What an exam came to."""

    file: PolicyFile
    sha256: str
    task: EnvCfg
    source: str
    """Where the conventions come from."""
    conventions: Conventions
    contract: PolicyContract
    """The conventions as a contract."""
    search: Search | None
    gate: GateVerdict
    reasons: tuple[str, ...]
    verdict: Verdict
    metrics: RolloutMetrics
    rollout: Rollout
    demands: Demands
    points: tuple[Point, ...]
    hazards: tuple[Hazard, ...]
    video: Video | None
    confined: str
    assumptions: tuple[str, ...]
    """What had to be assumed of a checkpoint's network, in sentences."""
    isaaclab: str
    """Whether it can be played in Isaac Lab too, in a sentence."""
    output: Path

    @property
    def score(self) -> float:
        """Points of 100: success, then what it stands, then gentleness; without a sweep of what was measured."""
        stood = [point for point in self.points if (point.survival_rate or 0.0) >= 0.9]
        parts = [
            self.verdict.success_rate or 0.0,
            len(stood) / len(self.points) if self.points else None,
            max(0.0, 1.0 - self.demands.trembling) if self.gate is not GateVerdict.NOT_MET else 0.0,
        ]
        counted = [(weight, part) for weight, part in zip(_WEIGHTS, parts, strict=True) if part is not None]
        return 100.0 * sum(weight * part for weight, part in counted) / sum(weight for weight, _ in counted)

    @property
    def mark(self) -> tuple[str, str]:
        """Return the verdict and its style. Nothing is green unless the gate is met."""
        style = {GateVerdict.MET: "pass", GateVerdict.NOT_MET: "fail"}.get(self.gate, "plain")
        return ("Gate not judged" if self.gate is GateVerdict.NOT_JUDGED else self.gate.value.capitalize()), style

    @property
    def headline(self) -> str:
        """Return the outcome in a sentence or two."""
        if self.search is not None and not self.search.walks and self.gate is not GateVerdict.MET:
            return (
                f"{self.task.robot} walks under no convention that was tried ({self.search.tried} of them). The "
                "numbers below are of the best one."
            )
        counted = f"{self.verdict.successes} of {self.verdict.episodes} episodes succeeded."
        return (
            f"{counted} {'; '.join(self.reasons).capitalize()}." if self.reasons else f"{counted} Every bound is met."
        )

    def document(self) -> dict[str, object]:
        """Return the exam as JSON values."""
        found: dict[str, object] = finite(
            {
                "policy": str(self.file.path),
                "sha256": self.sha256,
                "kind": self.file.kind,
                "robot": self.task.robot,
                "task": self.task.name,
                "simulator": self.metrics.simulator,
                "gate": self.gate.value,
                "passed": self.gate is GateVerdict.MET,
                "reasons": list(self.reasons),
                "score": round(self.score, 1),
                "conventions": self._conventions(),
                "verdict": self.verdict.document(),
                "metrics": self.metrics.document(),
                "demands": _demands_document(self.demands),
                "sweep": [point.document() for point in self.points],
                "hazards": [dataclasses.asdict(hazard) for hazard in self.hazards],
                "isaaclab": self.isaaclab,
                "confined": self.confined,
                "assumptions": list(self.assumptions),
                "card": str(self.output / CARD_FILE),
                "contract": str(self.output / CONTRACT_FILE),
            }
        )
        return found

    def _conventions(self) -> dict[str, object]:
        found: dict[str, object] = {"source": self.source}
        if self.search is not None:
            found |= {
                "walks": self.search.walks,
                "decisions": [decision.document() for decision in self.search.decisions],
                "tried": self.search.tried,
                "cpu_seconds": round(self.search.seconds, 1),
                "complete": self.search.complete,
                "fit": round(self.search.fit, 3),
            }
        return found


def _demands_document(demands: Demands) -> dict[str, object]:
    gait = demands.gait
    document = dataclasses.asdict(dataclasses.replace(demands, gait=None))
    if gait is not None:
        document["gait"] = {
            "feet": list(gait.feet),
            "duty": list(gait.duty),
            "steps_per_second": gait.steps_per_second,
        }
    return document
