"""Learner built on rsl_rl."""

from __future__ import annotations

from ..loop import LibraryLearner

LEARNER = LibraryLearner(
    "rsl_rl",
    "optimizer_state_dict",
    embedded=f"{__name__}.embedded:RslRlEmbeddedRun",
    native=f"{__name__}.native:RslRlNativeRun",
)
