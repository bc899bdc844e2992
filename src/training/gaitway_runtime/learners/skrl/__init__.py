"""Learner built on skrl."""

from __future__ import annotations

from ..loop import LibraryLearner

LEARNER = LibraryLearner(
    "skrl",
    "optimizer",
    embedded=f"{__name__}.embedded:SkrlEmbeddedRun",
    native=f"{__name__}.native:SkrlNativeRun",
    prepare=f"{__name__}.agent:configure_group",
)
