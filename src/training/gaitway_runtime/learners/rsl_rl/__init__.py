"""Learner built on rsl_rl."""

from __future__ import annotations

import os

from ..loop import LibraryLearner

# rsl_rl imports GitPython, which refuses to be imported where there is no git: in many an image.
os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")

LEARNER = LibraryLearner(
    "rsl_rl",
    "optimizer_state_dict",
    embedded=f"{__name__}.embedded:RslRlEmbeddedRun",
    native=f"{__name__}.native:RslRlNativeRun",
)
