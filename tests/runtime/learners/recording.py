"""Callbacks that remember their calls, and a training that a test gives to a learner."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from gaitway_runtime.learners.base import TrainingStart
from gaitway_runtime.learners.checkpoints import open_saved
from gaitway_runtime.learners.state import companion_beside, open_state


@dataclass
class RecordingCallbacks:
    stop_after: int | None = None
    """Iteration after which a stop is asked for."""
    iterations: list[int] = field(default_factory=list)
    totals: set[int] = field(default_factory=set)
    steps: list[int] = field(default_factory=list)
    metrics: list[dict[str, float]] = field(default_factory=list)
    checkpoints: list[tuple[str, int]] = field(default_factory=list)

    def on_iteration(self, iteration: int, total: int, steps: int, metrics: Mapping[str, float]) -> None:
        self.iterations.append(iteration)
        self.totals.add(total)
        self.steps.append(steps)
        self.metrics.append(dict(metrics))

    def on_checkpoint(self, path: Path, iteration: int) -> None:
        assert path.exists()
        self.checkpoints.append((path.name, iteration))

    def should_stop(self) -> bool:
        return bool(self.iterations) and self.iterations[-1] == self.stop_after


def start_from(mode: str, checkpoint: Path) -> TrainingStart:
    return TrainingStart(mode=mode, saved=open_saved(checkpoint))


def resume_with_state(checkpoint: Path) -> TrainingStart:
    """Return a start that continues a checkpoint with the companion beside it."""
    companion = companion_beside(checkpoint)
    assert companion is not None
    return TrainingStart(mode="resume", saved=open_saved(checkpoint), state=open_state(companion))
